#pragma once

// States of runs and attempts and the classes of failure, as the database stores them. The numbers
// are part of the format (docs/store.md): a new value takes a new number, numbers are never reused.

#include <optional>
#include <string_view>

namespace ration::store {

enum class RunState : int {
  ready = 0,      // may start as soon as a slot is free and `not_before` has passed
  active = 1,     // an attempt is alive, or may be
  done = 2,       // has a result
  diverged = 3,   // has a result that says so: data, never retried
  failed = 4,     // retries are used up
  cancelled = 5,  // by a person; `ration retry` takes it back
  invalid = 6,    // cannot run as it is: bad settings or data
  stopped = 7,    // ended early by a rule of its sweep; `ration retry` lets it go on
  skipped = 8,    // what it begins with will not come: a run that it waits for failed
};
inline constexpr int kRunStates = 9;

enum class AttemptState : int {
  created = 0,    // recorded before anything was started
  submitted = 1,  // a process or job exists
  running = 2,    // its log has begun
  succeeded = 3,
  failed = 4,  // see FailureClass
  lost = 5,    // nothing was started, or nobody can say what became of it
};
constexpr bool ended(AttemptState state) { return state >= AttemptState::succeeded; }

enum class FailureClass : int {
  none = 0,
  config = 1,         // worker exit 2: command line or run.json
  data = 2,           // worker exit 3: shard missing, damaged or of another digest
  diverged = 3,       // worker exit 4: a result
  out_of_memory = 4,  // worker exit 5: of a GPU, or of what the worker allows itself
  preempted = 5,      // worker exit 75 or 76: asked to stop
  disk = 6,           // no space, quota or file size limit
  killed = 7,         // ended by a signal that nobody of ours sent
  bug = 8,            // any other exit
  fenced = 9,         // worker exit 6: another attempt owns the run
  oom_host = 10,      // more memory than the host has, or than the job may have
  timeout = 11,       // the job's time was over
  node_failure = 12,  // the machine failed, or its GPU
};
inline constexpr int kFailureClasses = 13;

std::string_view name(RunState state);
std::string_view name(AttemptState state);
std::string_view name(FailureClass failure);
std::optional<RunState> run_state(std::string_view name);

// True when a run in this state needs no further work.
constexpr bool settled(RunState state) {
  return state != RunState::ready && state != RunState::active;
}

// It ended without a result.
constexpr bool in_vain(RunState state) {
  return state == RunState::failed || state == RunState::invalid || state == RunState::cancelled ||
         state == RunState::skipped;
}

}  // namespace ration::store
