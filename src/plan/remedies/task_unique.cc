// What a remedy is worth by the score of a task.

#include <cmath>
#include <iterator>

#include "plan/remedies/row.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

// Means that rise with the unique tokens, by pooling neighbours that fall (isotonic regression).
std::vector<double> rising(std::vector<double> means, const std::vector<double>& weights) {
  struct Block {
    double mean, weight;
    std::size_t size;
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < means.size(); ++i) {
    blocks.push_back({means[i], weights[i], 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean >= blocks.back().mean) {
      const Block last = blocks.back();
      blocks.pop_back();
      Block& before = blocks.back();
      before.mean =
          (before.mean * before.weight + last.mean * last.weight) / (before.weight + last.weight);
      before.weight += last.weight;
      before.size += last.size;
    }
  }
  std::size_t place = 0;
  for (const Block& block : blocks)
    for (std::size_t i = 0; i < block.size; ++i) means[place++] = block.mean;
  return means;
}

// ln U at which the line through (log_u, scores) is `wanted`; infinite outside.
double log_unique_of(const std::vector<double>& log_u,
                     const std::vector<double>& scores,
                     double wanted) {
  if (wanted < scores.front()) return -HUGE_VAL;
  for (std::size_t i = 0; i + 1 < scores.size(); ++i) {
    if (wanted > scores[i + 1]) continue;
    const double rise = scores[i + 1] - scores[i];
    const double part = rise > 0 ? (wanted - scores[i]) / rise : 0;
    return log_u[i] + part * (log_u[i + 1] - log_u[i]);
  }
  return HUGE_VAL;
}

}  // namespace

std::optional<Amount> task_unique(const Scores& scores,
                                  const Pairs& pairs,
                                  const PriceOptions& options) {
  const auto own = scores.find(pairs.baseline.unique.value);
  if (scores.size() < 2 || own == scores.end() || pairs.scores.empty()) return std::nullopt;
  std::vector<double> log_u, weights, means;
  std::vector<std::vector<double>> drawn;  // by U, of every draw
  // Streams of their own: these runs share no seed with the pairs' differences that matters.
  constexpr std::size_t kApart = std::size_t{1} << 20;
  for (const auto& [unique, values] : scores) {
    log_u.push_back(std::log(unique));
    weights.push_back(static_cast<double>(values.size()));
    means.push_back(mean_of(values));
    drawn.push_back(bootstrap_means(values, options, kApart + log_u.size()));
  }
  const auto place = static_cast<std::size_t>(std::distance(scores.begin(), own));
  const auto solve = [&](const std::vector<double>& at, double difference) {
    const std::vector<double> line = rising(at, weights);
    return std::exp(log_unique_of(log_u, line, line[place] + difference));
  };
  const double value = solve(means, mean_of(pairs.scores));
  if (!(value > 0) || !std::isfinite(value)) return std::nullopt;
  const std::vector<double> differences = bootstrap_means(pairs.scores, options, pairs.cell);
  std::vector<double> draws;
  for (std::size_t b = 0; b < differences.size(); ++b) {
    std::vector<double> at;
    for (const std::vector<double>& of_unique : drawn) at.push_back(of_unique[b]);
    draws.push_back(solve(at, differences[b]));
  }
  Amount amount = amount_of(std::move(draws), options.level);
  amount.value = value;
  if (amount.low && !(*amount.low > 0)) amount.low.reset();
  return amount;
}

}  // namespace ration::plan
