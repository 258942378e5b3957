#pragma once

// TIES after trimming: which sign wins at each coordinate, and the mean of those that agree.
// Internal to the room.

#include <cstdint>
#include <span>
#include <vector>

#include "merge/pieces.h"
#include "merge/recipe.h"

namespace ration::merge {

class Election {
 public:
  explicit Election(const Recipe& recipe);

  // True when the sign of coordinates that cancel exactly depends on all others.
  bool needs_majority() const;
  // The sum of all elected signs decides those coordinates from now on.
  void set_majority(std::int64_t sum_of_signs);

  // The sums whose signs win: weighted entries, or their signs.
  void mass(std::span<const std::span<double>> tau, std::span<double> mass) const;
  // The merged task vector; `mass` and `work` are overwritten.
  void decide(std::span<const std::span<double>> tau,
              std::span<double> mass,
              std::span<double> work,
              std::span<double> merged) const;

 private:
  void largest(std::span<const std::span<double>> tau,
               std::span<const double> sign,
               std::span<double> merged) const;

  Recipe recipe_;
  std::vector<double> weights_;
  double zero_sign_;  // of a sum that is exactly 0: -1, 0 or 1
  bool divides_;
  std::vector<double> shares_;  // of the weights in what the sum is divided by
  bool float_sums_;             // as programs that add in f32
};

}  // namespace ration::merge
