#pragma once

// How far models are from each other, tensor by tensor.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "merge/merge.h"

namespace ration::merge {

// With a base, the vectors are tau_i = theta_i - base; without, the models themselves.
struct Comparison {
  std::string tensor;  // "" for all together
  std::uint64_t elements = 0;
  std::vector<double> products;         // [model, model]: scalar products of the vectors
  std::uint64_t changed = 0;            // elements where any vector is not 0
  std::uint64_t conflicts = 0;          // elements where two vectors have opposite signs
  std::uint64_t trimmed_conflicts = 0;  // the same after each vector kept its largest entries

  double norm(std::size_t model) const;               // Euclidean
  double cosine(std::size_t a, std::size_t b) const;  // 0 where a vector is 0
  double conflict_share() const;                      // of the elements
  double trimmed_conflict_share() const;
  std::size_t models() const;
};

// One for each tensor of numbers, in byte-wise order of name, and last all together. `k` is the
// share of entries kept by trimming over all tensors, 0 … 1; 1 trims nothing and saves two reads.
// Errors as merge().
Result<std::vector<Comparison>> compare(const Inputs& inputs, double k, const Options& options);

}  // namespace ration::merge
