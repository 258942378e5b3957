#pragma once

// What a sweep would do, compared with what the store holds. Writes nothing.

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/sweep.h"
#include "store/store.h"

namespace ration::scheduler {

enum class PlanClass {
  fresh,          // never started
  to_continue,    // started, or waiting for a retry
  done,           // has a result, perhaps from another sweep
  diverged,       // has a result that says so
  failed_before,  // failed or invalid; --retry-failed starts it again
  cancelled,      // by a person; `ration retry` takes it back
  stopped,        // early, by a rule of a sweep; `ration retry` lets it go on
  skipped,        // a run that it waits for failed; it waits again when that is retried
  shared,         // another sweep of the same command asks for it first
};
inline constexpr std::size_t kPlanClasses = 9;
std::string_view name(PlanClass plan_class);

struct PlanRow {
  const PlannedRun* run = nullptr;
  PlanClass plan_class = PlanClass::fresh;
  std::string why;
};

struct Plan {
  Expansion expansion;        // the runs that were asked for (`only` applied)
  std::vector<PlanRow> rows;  // one each, in the order of starting
  std::array<std::int64_t, kPlanClasses> counts{};
  double flops_total = 0;    // convention `exact`
  double flops_to_do = 0;    // of runs that would be started
  store::Usage used;         // by attempts of this sweep's runs; where PlanOptions asks for it
  store::Usage next;         // expected of the runs that would be started
  double seconds = 0;        // estimate for `slots`; 0 = the speed is not known yet
  std::int64_t added = 0;    // against the newest version of this sweep in the store
  std::int64_t removed = 0;  // members of that version which this one no longer asks for
};

struct PlanOptions {
  int slots = 1;              // runs at once, for the estimate
  bool retry_failed = false;  // failed runs would be started again
  bool usage = false;         // also tell what is used and expected
  // Run-ids that other sweeps of the command ask for, with their names; null = none.
  const std::map<std::string, std::string>* shared = nullptr;
};

// What a run that took `planned` FLOPs in all has yet to do, as far as its log tells.
double flops_left(const store::RunRow& row, double planned);

// `reader` is empty when there is no store yet. The rows point into the plan's own expansion.
Result<Plan> make_plan(const Sweep& sweep,
                       Expansion expansion,
                       const store::Reader* reader,
                       const PlanOptions& options);

}  // namespace ration::scheduler
