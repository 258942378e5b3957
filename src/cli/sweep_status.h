#pragma once

// How far sweeps are: what `ration status` shows once, and --watch again and again.

#include <string>
#include <vector>

#include "cli/command.h"
#include "store/store.h"

namespace ration::cli {

struct SweepStatus {
  store::SweepRow sweep;
  store::Progress progress;
  double fraction =
      0;  // of the FLOPs, or of the runs where none trains; what came to nothing is not done
  double eta_seconds = -1;  // negative = not known, or nothing is active
};

// The sweep that was named, or the newest version of each (the last 20).
Result<std::vector<SweepStatus>> gather_sweeps(const store::Reader& store,
                                               const Arguments& arguments);

// A line a sweep, with its runs by state; `narrow` leaves out states that none is in.
std::string overview_text(const std::vector<SweepStatus>& statuses, bool narrow = false);

// A line that says that nobody follows the runs; empty while a scheduler does, and when all ended.
// `now`: UNIX seconds.
Result<std::string> nobody_text(const store::Reader& store,
                                const std::vector<SweepStatus>& statuses,
                                double now);

// `ration status --watch`: until no run of the sweeps waits or is active, or Ctrl-C.
Result<int> watch_sweeps(const Arguments& arguments);

}  // namespace ration::cli
