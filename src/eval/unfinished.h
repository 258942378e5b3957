#pragma once

// Why a sweep whose results somebody is about to read has not ended.
//
//   if (std::optional<Error> why = why_unfinished(*summary, {.what = "evaluated"})) return *why;

#include <optional>
#include <string_view>

#include "base/result.h"
#include "scheduler/scheduler.h"

namespace ration::eval {

struct Expected {
  std::string_view what = "evaluated";  // or "trained": to be done to its end
  bool may_diverge = false;             // a run that diverged is a result, too
};

// Nothing when every run is done. ErrorKind::interrupted where somebody left it: the same command
// continues; ErrorKind::resource with the first run that is not done, and why.
std::optional<Error> why_unfinished(const scheduler::RunSummary& summary, const Expected& expected);

}  // namespace ration::eval
