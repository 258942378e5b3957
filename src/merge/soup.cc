#include "merge/soup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ration::merge {
namespace {

Result<double> score_of(const Evaluate& evaluate, std::span<const std::size_t> members) {
  Result<double> score = evaluate(members);
  if (score && !std::isfinite(*score))
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("the score of models {} is {}", fmt::join(members, ", "), *score),
        .hint = "the evaluation must give a finite number"};
  return score;
}

}  // namespace

Result<Soup> greedy_soup(std::size_t models, bool higher_is_better, const Evaluate& evaluate) {
  Soup soup;
  const auto better = [&](double a, double b) { return higher_is_better ? a > b : a < b; };
  for (std::size_t i = 0; i < models; ++i) {
    Result<double> score = score_of(evaluate, std::span(&i, 1));
    if (!score) return std::move(score).error();
    soup.trials.push_back({{i}, *score, false});
  }
  std::vector<std::size_t> order(models);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return better(soup.trials[a].score, soup.trials[b].score);
  });
  for (const std::size_t next : order) {
    std::vector<std::size_t> pool = soup.members;
    pool.push_back(next);
    if (pool.size() == 1) {
      soup.trials[next].kept = true;
      soup.members = pool, soup.score = soup.trials[next].score;
      continue;
    }
    Result<double> score = score_of(evaluate, pool);
    if (!score) return std::move(score).error();
    const bool kept = !better(soup.score, *score);
    soup.trials.push_back({pool, *score, kept});
    if (kept) soup.members = std::move(pool), soup.score = *score;
  }
  return soup;
}

}  // namespace ration::merge
