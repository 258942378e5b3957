#include "scheduler/halving.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ration::scheduler {

std::string describe(const Standing& standing) {
  return fmt::format(
      "a loss of {:.4f} nats at {:.3g} % of its tokens is number {} of {}, and the best {} go on",
      standing.loss,
      100 * standing.rung,
      standing.rank,
      standing.of,
      standing.best);
}

std::optional<Standing> Bracket::reach(Contestant& run, double tokens, double loss) {
  const std::size_t before = run.rungs;
  while (run.rungs < rungs_.size() && tokens >= rule_.rungs[run.rungs] * run.tokens) {
    Mean& mean = rungs_[run.rungs][run.configuration];
    mean.sum += loss;
    ++mean.count;
    ++run.rungs;
  }
  if (run.rungs == before) return std::nullopt;
  return standing(run.rungs - 1, run.configuration);
}

Standing Bracket::standing(std::size_t rung, std::size_t configuration) const {
  const Rung& all = rungs_[rung];
  const double loss = all.at(configuration).value();
  const auto better = std::count_if(
      all.begin(), all.end(), [&](const auto& other) { return other.second.value() < loss; });
  const auto of = static_cast<double>(all.size());
  return {.rung = rule_.rungs[rung],
          .loss = loss,
          .rank = static_cast<std::size_t>(better) + 1,
          .of = all.size(),
          .best = static_cast<std::size_t>(std::ceil(of / rule_.eta)),
          .enough = all.size() >= static_cast<std::size_t>(rule_.least)};
}

}  // namespace ration::scheduler
