#pragma once

// Carrying sweeps out: what `ration run`, cancel, retry and `db rebuild` do.
//
//   Result<Sweep> sweep = read_sweep(text, "tiny.toml");
//   Result<RunSummary> summary = run_sweep(*sweep, {.store = "ration-runs"}, outside);
//
// run_sweep may be repeated at any time, also after a kill at any instruction: finished runs stay
// finished, active ones are adopted, the rest is started. Errors: unusable input (nothing was
// written), a missing trainer, a full disk, a store in use.

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "scheduler/engine.h"
#include "scheduler/machine.h"
#include "scheduler/plan.h"
#include "scheduler/slurm/config.h"
#include "scheduler/stop_signals.h"
#include "scheduler/sweep.h"

namespace ration::scheduler {

// What a law says of a run of a sweep; nothing where it says nothing. The scheduler knows no law,
// so whoever does passes one in.
using Foreteller =
    std::function<std::optional<Foreseen>(const Sweep& sweep, const run::RunSpec& spec)>;

// The world as the scheduler sees it; all are references that outlive the call.
struct Outside {
  Files& files;
  Clock& clock;
  Observer& observer;
  StopSignals* signals = nullptr;  // null: Ctrl-C keeps its usual meaning
};

struct SweepOptions {
  Path store = "ration-runs";
  // Runs at once, 1 to 1024; 0 = as many as have a core for each of their threads and, where they
  // train on GPUs, a GPU or their part of one (room.h), since small models run best side by side
  // with a thread each.
  int slots = 0;
  // What a run on a GPU takes of it, unless it trains with several processes: a part of it, above 0
  // to 1, or of its memory in bytes; both 0 = all of it. `gpu_memory` goes before `gpu_share`, and
  // what a run's own settings say (gpu, gpu_mem) before both.
  double gpu_share = 0;
  double gpu_memory = 0;
  // The worker's program; empty = beside this program, or on PATH.
  std::string trainer = {};
  Policy policy = {};  // its `slots` are set from the above
  ExpandOptions expand = {};
  // Start only these of the sweep's runs, by run-id; nothing = all. The sweep is registered whole.
  std::optional<std::set<std::string>> runs = {};
  bool retry_failed = false;                    // also start runs that failed before
  bool take_over = false;                       // see store::WriterOptions
  ExecutorKind executor = ExecutorKind::local;  // where new attempts are started
  SlurmConfig slurm = {};
  // With ExecutorKind::slurm: submit, note what ended, and leave.
  bool detach = false;
  // For sweeps with [stop.predicted]; empty = no run is stopped so.
  Foreteller law = {};
  EngineOptions engine = {};
};

// Why and how a sweep ended.
struct RunSummary {
  store::SweepRow sweep;
  std::array<std::int64_t, store::kRunStates> by_state{};  // of the runs that were asked for
  std::int64_t runs = 0;
  std::int64_t reused = 0;        // had a result before
  std::int64_t launched = 0;      // attempts started
  std::int64_t adopted = 0;       // attempts of an earlier scheduler, followed to their end
  std::int64_t left_running = 0;  // attempts that go on after this
  bool detached = false;          // left because that was asked for
  std::int64_t damaged_lines = 0;
  double seconds = 0;  // wall time
  StopCause cause = StopCause::none;
  std::vector<store::RunRow> rows;  // in the order of starting

  // 0 all have results or were stopped early, or detached; 1 some failed, 3 disk full, 5
  // interrupted.
  int exit_code() const;
  std::string one_line() const;  // "12 runs: 12 done in 43s (3 reused)"
};

Result<RunSummary> run_sweep(const Sweep& sweep, const SweepOptions& options, Outside outside);

// Why these cannot be carried out together: two of one name.
std::optional<Error> conflict(std::span<const Sweep> sweeps);

// Several at once, which share the room by their weights; a run that more than one asks for is
// trained once, as one of the first. `options` hold for each. One summary each, in their order;
// what was adopted, damaged and left running is that of all. Also refused: what conflict() tells.
Result<std::vector<RunSummary>> run_sweeps(std::span<const Sweep> sweeps,
                                           const SweepOptions& options,
                                           Outside outside);

// What a request came to, for each run in order.
struct RequestOutcome {
  std::string run;   // run-id
  std::string what;  // "cancelled", "is done already", …
  bool done = true;  // false: refused
};

// Ends runs for good until they are retried. Active workers may checkpoint first. When a scheduler
// holds the store, it is asked to; otherwise this call does it and waits for the workers to leave.
Result<std::vector<RequestOutcome>> cancel_runs(const Path& store,
                                                const std::vector<store::RunRow>& runs,
                                                Outside outside,
                                                const EngineOptions& options = {});

// Makes failed, invalid and cancelled runs ready again; the next `ration run` starts them, or the
// one that is on.
Result<std::vector<RequestOutcome>> retry_runs(const Path& store,
                                               const std::vector<store::RunRow>& runs,
                                               Outside outside);

struct RebuildSummary {
  std::int64_t sweeps = 0;
  std::int64_t runs = 0;
  std::int64_t attempts = 0;
  std::int64_t fits = 0;
  std::int64_t evals = 0;
  bool replaced = false;  // there was a database; it is kept as ration.db.before-rebuild
  std::vector<std::string> problems;  // files that could not be used, and why
  std::vector<std::string> notes;     // files that were set aside; their runs go on without them
};

// Makes ration.db again from sweeps/, runs/, slurm/, fits/ and evals/. The old database is replaced
// at the very end, and kept as ration.db.before-rebuild. `take_over`: see store::WriterOptions.
Result<RebuildSummary> rebuild_store(const Path& store,
                                     Files& files,
                                     Clock& clock,
                                     bool take_over = false);

// Where database and run folders contradict each other: a line each; empty where they agree.
Result<std::vector<std::string>> check_folders(const store::Reader& store, Files& files);

}  // namespace ration::scheduler
