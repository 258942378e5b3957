#include "cli/data_progress.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/text.h"

namespace ration::cli {
namespace {

// One phase from its first word: the rate of the whole phase tells more than that of an instant.
struct Phase {
  std::string name;
  double began = 0;
  std::uint64_t done_before = 0;
};

std::string words(const data::Progress& at, const Phase& phase, double now) {
  if (at.total == 0) return fmt::format("{} …", at.phase);
  const double share = static_cast<double>(at.done) / static_cast<double>(at.total);
  std::string text = fmt::format("{} {:.0f} %", at.phase, 100 * share);
  const double seconds = now - phase.began;
  if (seconds < 1 || at.done <= phase.done_before) return text;
  const double rate = static_cast<double>(at.done - phase.done_before) / seconds;
  // Files are counted, text is measured: totals of bytes are large.
  constexpr std::uint64_t kFewest = 1'000'000;
  if (at.total >= kFewest) text += fmt::format(", {}/s", format_quantity(rate, "B"));
  return text +
         fmt::format(", {} left", format_duration(static_cast<double>(at.total - at.done) / rate));
}

}  // namespace

data::ProgressSink progress_to(const Console& console) {
  const double interval = console.live ? 0.1 : 60;
  return [&console, interval, last = system_clock().monotonic_seconds(), phase = Phase()](
             const data::Progress& at) mutable {
    const double now = system_clock().monotonic_seconds();
    if (phase.name != at.phase)
      phase = {.name = std::string(at.phase), .began = now, .done_before = at.done};
    if (now - last < interval) return;
    last = now;
    console.progress(words(at, phase, now));
  };
}

}  // namespace ration::cli
