#pragma once

// Greedy soups: which of several models to average, by a score on held-out data (Wortsman et al.:
// Model soups; 2022).

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"

namespace ration::merge {

// A pool that was scored, and whether its last member stayed.
struct Trial {
  std::vector<std::size_t> members;
  double score = 0;
  bool kept = false;
};

struct Soup {
  std::vector<std::size_t> members;  // in the order in which they were added
  double score = 0;
  std::vector<Trial> trials;  // each model alone, in input order, then the pools
};

// The score of the average of some models; from 0, in input order.
using Evaluate = std::function<Result<double>(std::span<const std::size_t> members)>;

// Models from best to worst, equal ones in input order; each joins the pool if the pool is then at
// least as good. 2 n - 1 evaluations. A score that is not finite is ErrorKind::input.
Result<Soup> greedy_soup(std::size_t models, bool higher_is_better, const Evaluate& evaluate);

}  // namespace ration::merge
