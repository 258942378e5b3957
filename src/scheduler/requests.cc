// Cancel and retry. A mark in the run's folder is the truth, so that a rebuild knows it; a line in
// requests.log tells a scheduler that is on.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "base/unsynced_files.h"
#include "scheduler/catch_up.h"
#include "scheduler/executors.h"
#include "scheduler/history.h"
#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"

namespace ration::scheduler {
namespace {

using store::RunRow;

bool has_result(const RunRow& row) {
  return row.state == RunState::done || row.state == RunState::diverged;
}

// Everything that was written below a folder is on the disk when it returns.
Result<void> sync_all_below(const Path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error("open", folder, errno);
  const int code = syncfs(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  if (code != 0) return system_error("sync", folder, code);
  return {};
}

using Mark = Result<void> (*)(Files& files, const run::RunFolder& folder, double now);

// Marks the folders of runs, durably, then tells a scheduler that is on. Many wait for the disk
// together: it takes longer for one than all the rest does.
Result<void> mark_and_tell(Outside& outside,
                           const Path& store,
                           std::string_view verb,
                           Mark mark,
                           const std::vector<RunRow>& runs) {
  constexpr std::size_t kMany = 16;
  if (runs.empty()) return {};
  const bool together = runs.size() > kMany && &outside.files == &real_files();
  Files& files = together ? unsynced_files() : outside.files;
  std::string lines;
  for (const RunRow& row : runs) {
    const run::RunFolder folder(files, store::Layout{store}.run(row.run));
    if (Result<void> done = mark(files, folder, outside.clock.unix_seconds()); !done) return done;
    lines += fmt::format("{} {}\n", verb, row.run);
  }
  if (together)
    if (Result<void> done = sync_all_below(store); !done) return done;
  Result<std::unique_ptr<AppendFile>> file =
      outside.files.open_append(store::Layout{store}.requests());
  if (!file) return std::move(file).error();
  return (*file)->append(lines);
}

// The store, or nothing while a scheduler holds it.
Result<std::optional<store::Writer>> try_to_hold(Outside& outside,
                                                 const Path& folder,
                                                 bool passing = false) {
  Result<store::Writer> writer =
      store::Writer::open(outside.files, outside.clock, folder, {.passing = passing});
  if (writer) return std::optional<store::Writer>(std::move(*writer));
  if (writer.error().kind == ErrorKind::usage) return std::optional<store::Writer>();
  return std::move(writer).error();
}

// An engine that starts and sends nothing, and judges nothing: it only brings the runs to their
// end. `deadline`: how long it waits for an answer of the cluster, in seconds.
Result<void> follow(store::Writer& writer,
                    const std::vector<RunRow>& runs,
                    Outside& outside,
                    EngineOptions options,
                    double deadline) {
  options.judges = false;
  State state{.policy = {.slots = 0}};
  std::vector<Tracked> tracked;
  for (const RunRow& row : runs) {
    Result<NodeAndTracked> both = restore(writer, outside.files, outside.clock, row, true);
    if (!both) return std::move(both).error();
    state.nodes.push_back(std::move(both->node));
    tracked.push_back(std::move(both->tracked));
  }
  Executors executor(outside.files,
                     outside.clock,
                     {.ration = this_program(), .trainer = {}},
                     {.store = writer.layout().folder,
                      .programs = {},
                      .config = {.poll_seconds = 2, .deadline_seconds = deadline},
                      .submits = false,
                      .say = [&](std::string_view text) { outside.observer.note(text); }});
  if (Result<void> done = executor.open(); !done) return done;
  Engine engine(
      writer, executor, outside.files, outside.clock, outside.observer, outside.signals, options);
  Result<EngineEnd> end = engine.run(std::move(state), std::move(tracked));
  if (!end) return std::move(end).error();
  return {};
}

}  // namespace

Result<std::vector<RequestOutcome>> cancel_runs(const Path& store,
                                                const std::vector<RunRow>& runs,
                                                Outside outside,
                                                const EngineOptions& options) {
  std::vector<RequestOutcome> outcomes;
  std::vector<RunRow> to_cancel;
  for (const RunRow& row : runs) {
    if (has_result(row)) {
      outcomes.push_back({row.run, fmt::format("is {} already", store::name(row.state)), false});
      continue;
    }
    outcomes.push_back({row.run, "cancelled", true});
    to_cancel.push_back(row);
  }
  if (to_cancel.empty()) return outcomes;
  if (Result<void> done = mark_and_tell(outside, store, "cancel", mark_cancelled, to_cancel); !done)
    return std::move(done).error();
  Result<std::optional<store::Writer>> writer = try_to_hold(outside, store);
  if (!writer) return std::move(writer).error();
  if (*writer) {
    // As they are now: a scheduler may have been at them since they were named.
    for (RunRow& row : to_cancel)
      if (Result<RunRow> now = (*writer)->find_run(row.run)) row = std::move(*now);
    const auto waits =
        std::stable_partition(to_cancel.begin(), to_cancel.end(), [&](const RunRow& row) {
          const run::RunFolder folder(outside.files, store::Layout{store}.run(row.run));
          return row.state == RunState::active || outside.files.exists(folder.result_path());
        });
    std::vector<std::int64_t> waiting;
    for (auto row = waits; row != to_cancel.end(); ++row) waiting.push_back(row->id);
    if (Result<void> done =
            (*writer)->update_runs(waiting, {.state = RunState::cancelled, .reason = "cancelled"});
        !done)
      return std::move(done).error();
    to_cancel.erase(waits, to_cancel.end());
    const auto active = std::count_if(to_cancel.begin(), to_cancel.end(), [](const RunRow& row) {
      return row.state == RunState::active;
    });
    if (active > 0)
      outside.observer.note(fmt::format("waits up to {:.0f} s for {} to checkpoint and leave",
                                        options.grace_seconds,
                                        counted(static_cast<std::size_t>(active), "active run")));
    if (Result<void> done = follow(**writer, to_cancel, outside, options, 10); !done)
      return std::move(done).error();
    for (RequestOutcome& outcome : outcomes) {
      if (!outcome.done) continue;
      // It may have ended by itself before.
      const Result<RunRow> row = (*writer)->find_run(outcome.run);
      if (row && has_result(*row))
        outcome = {outcome.run, fmt::format("had ended: is {}", store::name(row->state)), false};
    }
  } else {
    for (RequestOutcome& outcome : outcomes)
      if (outcome.done) outcome.what = "asked the scheduler that is on to cancel it";
  }
  return outcomes;
}

Result<void> catch_up(const Path& store, Outside outside) {
  const Result<std::vector<slurm::Batch>> batches = slurm::read_batches(outside.files, store);
  if (!batches || batches->empty()) return {};
  Result<std::optional<store::Writer>> writer = try_to_hold(outside, store, /*passing=*/true);
  if (!writer) return std::move(writer).error();
  if (!*writer) return {};
  Result<store::Progress> all = (*writer)->progress(std::nullopt);
  if (!all) return std::move(all).error();
  return follow(**writer, all->active, outside, {.detach = true}, 2);
}

Result<std::vector<RequestOutcome>> retry_runs(const Path& store,
                                               const std::vector<RunRow>& runs,
                                               Outside outside) {
  std::vector<RequestOutcome> outcomes;
  std::vector<RunRow> to_retry;
  for (const RunRow& row : runs) {
    if (has_result(row) || row.state == RunState::active) {
      outcomes.push_back(
          {row.run, fmt::format("is {}: nothing to retry", store::name(row.state)), false});
      continue;
    }
    outcomes.push_back({row.run, "ready; `ration run` of its sweep starts it", true});
    to_retry.push_back(row);
  }
  if (to_retry.empty()) return outcomes;
  if (Result<void> done = mark_and_tell(outside, store, "retry", mark_retry, to_retry); !done)
    return std::move(done).error();
  Result<std::optional<store::Writer>> writer = try_to_hold(outside, store);
  if (!writer) return std::move(writer).error();
  if (*writer) {
    std::vector<std::int64_t> ids;
    for (const RunRow& row : to_retry) ids.push_back(row.id);
    if (Result<void> done =
            (*writer)->update_runs(ids, {.state = RunState::ready, .reason = "retry asked for"});
        !done)
      return std::move(done).error();
  } else {
    for (RequestOutcome& outcome : outcomes)
      if (outcome.done) outcome.what = "asked the scheduler that is on to start it again";
  }
  return outcomes;
}

}  // namespace ration::scheduler
