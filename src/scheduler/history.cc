#include "scheduler/history.h"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/outcome.h"
#include "scheduler/supervisor.h"
#include "scheduler/verdict_file.h"

namespace ration::scheduler {
namespace {

// A person took a verdict back while no scheduler was there to hear of it.
bool revived(Files& files, const run::RunFolder& folder, const store::RunRow& row) {
  if (row.state == RunState::cancelled) return !marked_cancelled(files, folder);
  if (row.state == RunState::stopped) return stop_reason(files, folder).empty();
  const bool given_up = row.state == RunState::failed || row.state == RunState::invalid;
  return given_up && row.attempts > 0 && forgiven_attempts(files, folder) >= row.attempts;
}

bool costs(const store::AttemptRow& attempt, int forgiven) {
  return attempt.number > forgiven && (attempt.state == store::AttemptState::failed ||
                                       attempt.state == store::AttemptState::lost);
}

// As it was when the attempt ended, as far as it counts against the run.
Ending ending_of(Files& files, const run::RunFolder& folder, const store::AttemptRow& attempt) {
  Ending ending{.failure = attempt.failure,
                .never_started = attempt.state == store::AttemptState::lost,
                .at_start = attempt.last_step == 0};
  if (ending.failure == FailureClass::preempted || ending.failure == FailureClass::timeout)
    ending.progressed = left_checkpoint(files, folder, attempt.number);
  if (ending.failure == FailureClass::node_failure)
    if (const auto note = read_supervisor_note(files, folder.attempt_path(attempt.number)))
      ending.host = note->host;
  ending.detail =
      fmt::format("attempt {} {}",
                  attempt.number,
                  ending.never_started ? std::string("never began")
                                       : fmt::format("ended: {}", store::name(attempt.failure)));
  return ending;
}

// Seconds that the run was told to wait after its last attempt. Both times were taken at one
// moment, so that no jump of the wall clock is in between.
double backoff_given(Files& files,
                     const run::RunFolder& folder,
                     const store::RunRow& row,
                     const store::AttemptRow& last) {
  constexpr double kLongestWait = 750;
  const auto verdict = read_verdict(files, folder.attempt_path(last.number), last.token);
  const double given =
      verdict ? verdict->update.not_before - verdict->ended : row.not_before - last.ended;
  return std::clamp(given, 0.0, kLongestWait);
}

}  // namespace

Result<NodeAndTracked> restore(
    const store::Reader& store, Files& files, Clock& clock, const store::RunRow& row, bool wanted) {
  NodeAndTracked both{.node = {.id = row.run, .wanted = wanted, .state = row.state},
                      .tracked = {.run = row.id,
                                  .id = row.run,
                                  .flops = row.flops,
                                  .tokens = row.tokens,
                                  .attempts = static_cast<int>(row.attempts)}};
  if (row.state == RunState::done || row.state == RunState::diverged) return both;
  const run::RunFolder folder(files, store.layout().run(row.run));
  if (revived(files, folder, row)) both.node.state = RunState::ready;
  if (row.attempts == 0) return both;

  both.node.spared = spared(files, folder);
  Result<std::vector<store::AttemptRow>> attempts = store.attempts(row.id);
  if (!attempts) return std::move(attempts).error();
  const int forgiven = forgiven_attempts(files, folder);
  // An active run without a living attempt is one whose last end nobody has judged yet.
  const auto unjudged = [&](const store::AttemptRow& attempt) {
    return row.state == RunState::active && &attempt == &attempts->back();
  };
  for (const store::AttemptRow& attempt : *attempts) {
    if (!costs(attempt, forgiven)) continue;
    Ending ending = ending_of(files, folder, attempt);
    if (unjudged(attempt))
      both.tracked.unjudged = std::move(ending);
    else
      charge(both.node, ending);
  }
  const bool alive = std::any_of(attempts->begin(), attempts->end(), [](const auto& attempt) {
    return !store::ended(attempt.state);
  });
  if (alive)
    if (const auto note = read_supervisor_note(files, folder.attempt_path(attempts->back().number)))
      both.node.gpus = note->gpus;
  if (row.state == RunState::active && !alive && !both.tracked.unjudged)
    both.node.state = RunState::ready;
  // The wall clock may have jumped since.
  if (const double wait = row.not_before - clock.unix_seconds(); wait > 0)
    both.node.not_before = clock.monotonic_seconds() +
                           std::min(wait, backoff_given(files, folder, row, attempts->back()));
  return both;
}

}  // namespace ration::scheduler
