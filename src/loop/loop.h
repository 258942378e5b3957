#pragma once

// Closes the loop: decide, train what was decided, fit, and again, until the goal is reached or
// nothing more can be bought. What `ration run --until` does.
//
//   Result<LoopSummary> summary = run_loop(sweep, {.decide = …, .sweep = …}, outside, observer);
//   if (!summary) return std::move(summary).error();
//   return summary->exit_code();
//
// Safe to kill at any instruction and to repeat: each decision is in the journal before its runs
// start, the same call first finishes the runs decided last, and a decision is a pure function of
// what is finished. Nothing is kept in memory that the store does not hold. Errors: those of
// decide(), scheduler::run_sweep() and the journal.

#include "loop/decide.h"
#include "loop/journal.h"
#include "scheduler/scheduler.h"

namespace ration::loop {

class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  // Runs of an earlier decision that have no result yet: they come first.
  virtual void resumes(int round, std::size_t runs) = 0;
  virtual void decided(const Decision& decision) = 0;
};

struct LoopOptions {
  Options decide;
  // Where and how runs are carried out; its `runs` is set by the loop, and --only narrows what may
  // be chosen.
  scheduler::SweepOptions sweep;
  bool dry_run = false;  // take the next decision, and write and start nothing
};

struct LoopSummary {
  std::string sweep;
  std::vector<Decision> decisions;  // of this loop since it began, in their order
  std::optional<Decision> last;     // what ended it; nothing when it was interrupted before one
  scheduler::StopCause cause = scheduler::StopCause::none;  // interrupt or disk: not ended yet
  std::optional<fit::Fit> fit;                              // what the last decision rests on
  std::optional<plan::Plan> plan;
  std::optional<std::int64_t> stored_fit;  // its number, where it is trusted and the loop has ended
  double seconds = 0;

  // 0 reached, or a decision of a dry run; 1 runs failed; 3 disk full; 4 spent or used up before
  // the goal; 5 interrupted.
  int exit_code() const;
};

// The runs of a sweep as the store has them, by run-id; `reader` is empty where there is no store.
// Those outside `allowed` are not open. Runs that were decided on and are no longer asked for are
// there for what they cost. N counts layers and output head, as fits of stored runs do.
Result<std::vector<Run>> runs_of(const scheduler::Expansion& whole,
                                 const std::set<std::string>& allowed,
                                 const store::Reader* reader,
                                 const std::vector<Decision>& decisions);

Result<LoopSummary> run_loop(const scheduler::Sweep& sweep,
                             const LoopOptions& options,
                             scheduler::Outside outside,
                             LoopObserver& observer);

}  // namespace ration::loop
