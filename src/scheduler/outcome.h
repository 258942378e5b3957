#pragma once

// What became of an attempt, and of a run, told from files alone: so a restart and a rebuild come
// to the same answer as the scheduler that was there.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "run/folder.h"
#include "scheduler/last_words.h"
#include "scheduler/machine.h"
#include "store/states.h"

namespace ration::scheduler {

// An attempt whose processes are gone.
struct Outcome {
  store::AttemptState state = store::AttemptState::failed;
  FailureClass failure = FailureClass::none;  // of the attempt
  std::optional<int> exit_code;               // as in the file `exit`
  Ending ending;                              // for the run: none when it has a result by now
  std::optional<Json> result;                 // the run's, from this attempt or another
  std::vector<std::string> notes = {};        // for people: files that were set aside
};

// First match wins: a published result, the exit status, the log's last event. A folder that was
// claimed under another token means that this attempt never started. An exit status or result that
// cannot be used counts as missing, and is set aside.
Outcome outcome_of(Files& files, const run::RunFolder& folder, int attempt, std::string_view token);

// What a run published.
struct Published {
  std::optional<Json> result;  // of this run, with everything that the store takes from it
  std::string note = {};       // for people: why result.json was set aside; empty when it was not
};

// A file that is no result of this run is moved to result.json.damaged, so that the run can publish
// another. Not while a worker that may still write it lives.
Published take_result(Files& files, const run::RunFolder& folder);

// The state of a run that has a result.
store::RunState state_of_result(const Json& result);

// The attempt left a checkpoint: it got further than where it began.
bool left_checkpoint(Files& files, const run::RunFolder& folder, int attempt);

// The checkpoint of a step, of the newest attempt that has it; nothing when none does.
Result<std::optional<Path>> checkpoint_of(Files& files,
                                          const run::RunFolder& folder,
                                          std::int64_t step);

// What was decided about a run, as marks in its folder. By people: `cancelled`, and `retry` with
// the number of the last attempt that no longer counts.
Result<void> mark_cancelled(Files& files, const run::RunFolder& folder, double now);
Result<void> mark_retry(Files& files, const run::RunFolder& folder, double now);
bool marked_cancelled(Files& files, const run::RunFolder& folder);
// What a rule of the sweep decided: the run ends early, for a reason. mark_retry() takes it back,
// and spares the run from then on.
Result<void> mark_stopped(Files& files,
                          const run::RunFolder& folder,
                          double now,
                          const std::string& reason);
// Why a rule stopped it; empty when none did.
std::string stop_reason(Files& files, const run::RunFolder& folder);
bool spared(Files& files, const run::RunFolder& folder);
// Attempts up to this number do not count against the run.
int forgiven_attempts(Files& files, const run::RunFolder& folder);

}  // namespace ration::scheduler
