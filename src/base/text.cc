#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace ration {
namespace {

struct Scale {
  std::string_view suffix;
  double factor;
};

constexpr std::array<Scale, 9> kDecimal = {{{"K", 1e3},
                                            {"k", 1e3},
                                            {"M", 1e6},
                                            {"B", 1e9},
                                            {"G", 1e9},
                                            {"T", 1e12},
                                            {"P", 1e15},
                                            {"E", 1e18},
                                            {"", 1}}};
constexpr std::array<Scale, 4> kBinary = {
    {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}}};
constexpr std::array<Scale, 5> kTime = {
    {{"d", 86400}, {"h", 3600}, {"min", 60}, {"m", 60}, {"s", 1}}};

Error malformed(std::string_view text, std::string_view unit) {
  const std::string example = unit == "tok"    ? "25Btok"
                              : unit == "flop" ? "1e21flop"
                              : unit == "s"    ? "2h30m"
                                               : "1.5M";
  return {.kind = ErrorKind::usage,
          .what = fmt::format(
              "\"{}\" is not a number{}", text, unit.empty() ? "" : fmt::format(" of {}", unit)),
          .hint = fmt::format("write it like {}", example)};
}

// Takes a leading number off `text`.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const bool plus = text.starts_with('+') && !text.starts_with("+-");
  const std::string_view digits = plus ? text.substr(1) : text;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code != std::errc() || !std::isfinite(value)) return std::nullopt;
  text = digits.substr(static_cast<std::size_t>(end - digits.data()));
  return value;
}

Result<double> parse_duration(std::string_view text) {
  const std::string_view whole = text;
  double total = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_number(text);
    if (!number) return malformed(whole, "s");
    if (text.empty()) text = "s";
    const auto* scale = std::find_if(
        kTime.begin(), kTime.end(), [&](const Scale& s) { return text.starts_with(s.suffix); });
    if (scale == kTime.end()) return malformed(whole, "s");
    total += *number * scale->factor;
    text.remove_prefix(scale->suffix.size());
  }
  if (!std::isfinite(total)) return malformed(whole, "s");
  return total;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

Result<double> parse_quantity(std::string_view text, std::string_view unit) {
  const std::string_view whole = text;
  text = trim(text);
  if (text.empty()) return malformed(whole, unit);
  if (unit == "s") return parse_duration(text);
  const std::optional<double> number = take_number(text);
  if (!number) return malformed(whole, unit);
  text = trim(text);
  if (unit == "B")
    for (const Scale& scale : kBinary)
      if (text == scale.suffix) return *number * scale.factor;
  for (const Scale& scale : kDecimal) {
    if (unit == "B" && scale.suffix == "B") continue;  // 10B are ten bytes
    const std::string_view rest =
        text.starts_with(scale.suffix) ? text.substr(scale.suffix.size()) : "?";
    const bool plural = !unit.empty() && rest == std::string(unit) + "s";
    const double value = *number * scale.factor;
    if ((rest.empty() || rest == unit || plural) && std::isfinite(value)) return value;
  }
  return malformed(whole, unit);
}

std::string format_quantity(double value, std::string_view unit, int digits) {
  struct Step {
    double factor;
    std::string_view prefix;
  };
  const std::array<Step, 4> steps = {
      {{1e12, "T"}, {1e9, unit == "B" ? "G" : "B"}, {1e6, "M"}, {1e3, "k"}}};
  const double magnitude = std::abs(value);
  const std::string_view gap = unit.empty() ? "" : " ";
  if (magnitude >= 100 && magnitude < 1e15) digits = std::max(digits, 3);
  const double almost_one = 1 - 0.5 * std::pow(10, -digits);  // what rounding carries to one
  if (magnitude < 1e15)
    for (const Step& step : steps)
      if (magnitude >= step.factor * almost_one)
        return fmt::format("{:.{}g}{}{}{}", value / step.factor, digits, gap, step.prefix, unit);
  return fmt::format("{:.{}g}{}{}", value, digits, gap, unit);
}

std::string counted(std::size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "unknown";
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m {}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h {}m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{}d {}h", whole / 86400, whole % 86400 / 3600);
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known) {
  constexpr std::size_t kMaxDistance = 2;
  std::optional<std::string> best;
  std::size_t best_distance = std::min(kMaxDistance + 1, word.size());  // not every letter replaced
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best = candidate, best_distance = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const std::optional<std::string> best = nearest(word, known);
  return best ? fmt::format("did you mean \"{}\"?", *best) : std::string();
}

}  // namespace ration
