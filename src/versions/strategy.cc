#include "versions/strategy.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace ration::versions {
namespace {

using Kind = Strategy::Kind;

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = code == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<Kind> kind_of(std::string_view word) {
  constexpr std::pair<std::string_view, Kind> kWords[] = {{"fail", Kind::fail},
                                                          {"ours", Kind::ours},
                                                          {"theirs", Kind::theirs},
                                                          {"base", Kind::base},
                                                          {"average", Kind::average},
                                                          {"task", Kind::task},
                                                          {"ties", Kind::ties}};
  for (const auto& [known, kind] : kWords)
    if (known == word) return kind;
  return std::nullopt;
}

bool is_share(double number) { return number >= 0 && number <= 1; }

// False where the numbers do not suit the kind.
bool read_numbers(std::string_view text, Strategy& strategy) {
  const std::size_t comma = text.find(',');
  const std::optional<double> first = number_of(text.substr(0, comma));
  if (!first) return false;
  if (comma != std::string_view::npos) {
    const std::optional<double> second = number_of(text.substr(comma + 1));
    if (strategy.kind != Kind::ties || !second) return false;
    strategy.lambda = *second;
  }
  switch (strategy.kind) {
    case Kind::average:
      strategy.alpha = *first;
      return is_share(*first);
    case Kind::task:
      strategy.lambda = *first;
      return true;
    case Kind::ties:
      strategy.k = *first;
      return is_share(*first);
    default:
      return false;
  }
}

}  // namespace

Result<Strategy> parse_strategy(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::optional<Kind> kind = kind_of(text.substr(0, colon));
  Strategy strategy;
  strategy.kind = kind.value_or(Kind::fail);
  if (kind && (colon == std::string_view::npos || read_numbers(text.substr(colon + 1), strategy)))
    return strategy;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("\"{}\" is no strategy for merging tensors", text),
               .hint =
                   "fail, ours, theirs, base, average[:ALPHA], task[:LAMBDA] or "
                   "ties[:K[,LAMBDA]]; ALPHA and K from 0 to 1"};
}

std::string to_text(const Strategy& strategy) {
  switch (strategy.kind) {
    case Kind::fail:
      break;
    case Kind::ours:
      return "ours";
    case Kind::theirs:
      return "theirs";
    case Kind::base:
      return "base";
    case Kind::average:
      return fmt::format("average:{}", strategy.alpha);
    case Kind::task:
      return fmt::format("task:{}", strategy.lambda);
    case Kind::ties:
      return fmt::format("ties:{},{}", strategy.k, strategy.lambda);
  }
  return "fail";
}

}  // namespace ration::versions
