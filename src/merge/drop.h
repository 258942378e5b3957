#pragma once

// DARE: which entries of a task vector are dropped, and by what the rest is scaled. Internal to the
// room.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "merge/pieces.h"
#include "merge/recipe.h"

namespace ration::merge {

class Drop {
 public:
  Drop(const Recipe& recipe, Mask mask) : recipe_(recipe), mask_(std::move(mask)) {}

  // Needed before apply() where the scale depends on the tensor ("l1").
  void prepare(const Layout& layout, int threads);

  // Drops and scales the entries from element `first` of a tensor on.
  void apply(const Tensor& tensor,
             std::size_t model,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> tau) const;

 private:
  void fill_mask(const Tensor& tensor,
                 std::size_t model,
                 std::uint64_t first,
                 std::span<std::uint8_t> keep) const;
  double scale(const Tensor& tensor, std::size_t model) const;

  Recipe recipe_;
  Mask mask_;
  std::map<const Tensor*, std::vector<double>> l1_;  // scales, one a model
};

}  // namespace ration::merge
