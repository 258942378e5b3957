#include "cli/console_observer.h"

#include <fmt/format.h>

#include "base/text.h"

namespace ration::cli {

void ConsoleObserver::progress(const scheduler::Snapshot& snapshot) {
  const double now = system_clock().monotonic_seconds();
  constexpr double kPlainSeconds = 10;
  if (!console_.live && now - last_ < kPlainSeconds) return;
  last_ = now;
  std::string line =
      fmt::format("{}/{} runs ended, {} active", snapshot.settled, snapshot.runs, snapshot.active);
  if (snapshot.failed > 0) line += fmt::format(", {} failed", snapshot.failed);
  if (snapshot.waiting > 0) line += fmt::format(", {} wait for a retry", snapshot.waiting);
  line += fmt::format(", {:.0f} % of the compute", 100 * snapshot.fraction);
  if (snapshot.eta_seconds >= 0)
    line += fmt::format(", {} left", format_duration(snapshot.eta_seconds));
  console_.progress(line);
}

}  // namespace ration::cli
