#pragma once

// Loss on held-out text: the same windows in the same order for every run of a sweep, without
// overlap, dropout off.

#include <cstdint>
#include <vector>

#include "train/batches.h"
#include "train/model.h"
#include "train/processes/group.h"

namespace ration::train {

class HeldOut {
 public:
  // `windows` are all evaluated.
  explicit HeldOut(Windows windows) : windows_(std::move(windows)) {}

  // Mean nats a token; each process of the group evaluates its share.
  double loss(const Model& model, Group& group) const;

  const Windows& windows() const { return windows_; }

 private:
  Windows windows_;
};

// Nats a token of each window by itself. Same weights and windows, same numbers.
std::vector<double> window_losses(const Model& model, const Windows& windows);

// True when the way from `before` to `after` tokens crosses a point of the grid 10^(i /
// per_decade). Never with per_decade 0.
bool crosses_grid(std::int64_t before, std::int64_t after, std::int64_t per_decade);

}  // namespace ration::train
