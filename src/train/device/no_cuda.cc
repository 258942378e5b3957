// The build without CUDA: everything happens on the processor, at once.

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <stdexcept>

#include "train/device/backend.h"
#include "train/device/on_host.h"

namespace ration::train::device {

std::string why_no_cuda() {
  return "this ration-train was built without CUDA: build it against a LibTorch with CUDA";
}

void* stream_of(const at::Device&) { return nullptr; }

void take_own_stream(const at::Device&) {}

void finish(const at::Device&) {}

template <class T>
const kernels::Table<T>& cuda_kernels() {
  throw std::runtime_error(why_no_cuda());
}
template const kernels::Table<double>& cuda_kernels<double>();
template const kernels::Table<float>& cuda_kernels<float>();
template const kernels::Table<kernels::BFloat16>& cuda_kernels<kernels::BFloat16>();

std::unique_ptr<Recording> record(const at::Device&, const std::function<void()>& body) {
  body();
  return nullptr;
}

std::unique_ptr<Courier> make_courier(const at::Device&) { return std::make_unique<HostCourier>(); }

at::Tensor host_bytes(std::int64_t bytes, const at::Device&) {
  return at::zeros({bytes}, at::kByte);
}

std::unique_ptr<Receipt> send_back(const at::Tensor& from) {
  return std::make_unique<HostReceipt>(from.clone());
}

void use_deterministic_operators() {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // nothing reads it here
}

void give_back_memory(const at::Device&) {}

std::int64_t peak_device_bytes(const at::Device&) { return 0; }

}  // namespace ration::train::device
