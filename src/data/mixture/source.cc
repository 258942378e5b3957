#include "data/mixture/source.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace ration::data {

Source::Source(const SourceOptions& options)
    : windows_(options.windows),
      cap_(capacity(options.windows, options.max_epochs)),
      seed_(options.seed),
      schedule_(options.windows, options.seed) {}

Json Source::state() const {
  const SchedulePosition position = schedule_.position();
  return {{"epoch", position.epoch}, {"index", position.index}, {"used", used_}};
}

void Source::load(const Json& state) {
  const SchedulePosition position{.epoch = state.at("epoch"), .index = state.at("index")};
  schedule_ = WindowSchedule(static_cast<std::uint32_t>(windows_), seed_, position);
  used_ = state.at("used");
}

std::int64_t capacity(std::int64_t windows, double max_epochs) {
  constexpr std::int64_t kNoCap = std::numeric_limits<std::int64_t>::max() / 2;
  const double cap = std::floor(max_epochs * static_cast<double>(windows));
  return max_epochs > 0 && cap < static_cast<double>(kNoCap) ? static_cast<std::int64_t>(cap)
                                                             : kNoCap;
}

std::uint64_t source_seed(std::uint64_t run_seed, std::string_view data_digest) {
  std::uint64_t of_data = 0;
  const std::string_view first = data_digest.substr(0, 16);
  std::from_chars(first.data(), first.data() + first.size(), of_data, 16);
  return mix(mix(run_seed) ^ of_data);
}

}  // namespace ration::data
