#pragma once

// The processor's side of backend.h, for both builds.

#include <ATen/ATen.h>

#include "train/device/backend.h"

namespace ration::train::device {

class HostCourier final : public Courier {
 public:
  void prepare() override {}
  void submit(const at::Tensor& from, const at::Tensor& to) override { to.copy_(from); }
  void wait() override {}
  void release() override {}
};

class HostReceipt final : public Receipt {
 public:
  explicit HostReceipt(at::Tensor values) : values_(std::move(values)) {}
  const at::Tensor& take() override { return values_; }

 private:
  at::Tensor values_;
};

}  // namespace ration::train::device
