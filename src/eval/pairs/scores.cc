#include "eval/pairs/scores.h"

#include <cmath>
#include <limits>

namespace ration::eval {
namespace {

constexpr std::array<std::string_view, kScores.size()> kNames = {
    "sum", "avg", "pmi", "avg_pmi", "per_byte", "per_byte_pmi"};

Error unusable(const char* what) {
  return {.kind = ErrorKind::input,
          .what = what,
          .hint = "weights with overflowing numbers give such: `ration explain RUN`"};
}

}  // namespace

std::string_view name_of(Score score) { return kNames[static_cast<std::size_t>(score)]; }

std::optional<Score> score_named(std::string_view name) {
  for (const Score score : kScores)
    if (name_of(score) == name) return score;
  return {};
}

Result<ChoiceSums> sums_of(std::span<const double> with,
                           std::span<const double> without,
                           std::size_t bytes) {
  if (with.empty() || bytes == 0) return unusable("the choice is empty");
  if (with.size() != without.size())
    return unusable("the choice has other tokens with its document than without");
  ChoiceSums sums{.first_with = with.front(),
                  .first_without = without.front(),
                  .tokens = with.size(),
                  .bytes = bytes};
  for (std::size_t i = 0; i < with.size(); ++i) {
    sums.with += with[i];
    sums.without += without[i];
    sums.gain += with[i] - without[i];
  }
  if (!std::isfinite(sums.with) || !std::isfinite(sums.without))
    return unusable("a log probability is not finite");
  return sums;
}

double score_of(const ChoiceSums& choice, Score score, bool skip_first) {
  const double first = skip_first ? 1 : 0;
  const auto tokens = static_cast<double>(choice.tokens) - first;
  const auto bytes = static_cast<double>(choice.bytes);
  if (tokens < 1) return std::numeric_limits<double>::quiet_NaN();
  const double sum = choice.with - first * choice.first_with;
  const double pmi = choice.gain - first * (choice.first_with - choice.first_without);
  switch (score) {
    case Score::sum:
      return sum;
    case Score::avg:
      return sum / tokens;
    case Score::pmi:
      return pmi;
    case Score::avg_pmi:
      return pmi / tokens;
    case Score::per_byte:
      return sum / bytes;
    case Score::per_byte_pmi:
      break;
  }
  return pmi / bytes;
}

double credit(double first, double second, std::size_t label) {
  if (first == second) return 0.5;
  return (first > second) == (label == 0) ? 1 : 0;
}

}  // namespace ration::eval
