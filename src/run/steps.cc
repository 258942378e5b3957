#include "run/steps.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ration::run {
namespace {

std::int64_t share(double fraction, std::int64_t steps) {
  return static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(steps)));
}

}  // namespace

std::int64_t sequences_of(const RunSpec& spec) {
  return (spec.tokens + spec.context - 1) / spec.context;
}

std::int64_t steps_of(const RunSpec& spec) {
  return (sequences_of(spec) + spec.batch_sequences - 1) / spec.batch_sequences;
}

std::int64_t warmup_steps(const RunSpec& spec) {
  return share(spec.warmup_fraction, steps_of(spec));
}

std::vector<std::int64_t> kept_steps(std::string_view list) {
  std::vector<std::int64_t> steps;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::int64_t step = 0;
    if (std::from_chars(list.data(), list.data() + comma, step).ec == std::errc())
      steps.push_back(step);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return steps;
}

bool is_list_of_steps(std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::int64_t step = 0;
    const auto [end, code] = std::from_chars(list.data(), list.data() + comma, step);
    if (code != std::errc() || end != list.data() + comma || step < 1) return false;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return true;
}

std::int64_t decay_steps(const RunSpec& spec) { return share(spec.decay_fraction, steps_of(spec)); }

}  // namespace ration::run
