#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/unsynced_files.h"
#include "scheduler/asked.h"
#include "scheduler/early_stop.h"
#include "scheduler/executors.h"

namespace ration::scheduler {
namespace {

using store::RunRow;

store::SweepRecord record_of(const Sweep& sweep, const Expansion& expansion) {
  store::SweepRecord record{
      .name = sweep.name,
      .file = std::filesystem::absolute(sweep.file).lexically_normal().string(),
      .source = sweep.source};
  for (const PlannedRun& run : expansion.runs) {
    Json tags = Json::object();
    for (const auto& [key, value] : run.tags)
      std::visit([&, &name = key](const auto& v) { tags[name] = v; }, value);
    record.members.push_back({.id = run.id,
                              .spec = run.spec,
                              .execution = run.execution,
                              .ordinal = run.ordinal,
                              .priority = run.priority,
                              .tags = tags.dump()});
  }
  return record;
}

// Runs that have not ended, by what may let them start.
struct Unfinished {
  std::int64_t starting = 0;
  std::int64_t waiting = 0;  // for a person: `ration retry` is heard while others run

  bool any() const { return starting + waiting > 0; }
};

Result<Unfinished> unfinished(const std::vector<Asked>& sweeps,
                              const SweepOptions& options,
                              Outside& outside) {
  if (!outside.files.exists(store::Layout{options.store}.database()))
    return Unfinished{.starting = 1};
  Result<store::Reader> reader = store::Reader::open(outside.files, options.store);
  if (!reader) return std::move(reader).error();
  Unfinished found;
  for (const Asked& asked : sweeps) {
    Result<Plan> plan =
        make_plan(*asked.sweep, asked.chosen, &*reader, {.retry_failed = options.retry_failed});
    if (!plan) return std::move(plan).error();
    const auto count = [&](PlanClass c) { return plan->counts[static_cast<std::size_t>(c)]; };
    const std::int64_t failed = count(PlanClass::failed_before);
    // Not by what is left to compute: a run that has seen all its tokens may lack its result.
    found.starting += count(PlanClass::fresh) + count(PlanClass::to_continue) +
                      (options.retry_failed ? failed : 0);
    found.waiting += failed + count(PlanClass::cancelled) + count(PlanClass::stopped) +
                     count(PlanClass::skipped);
  }
  return found;
}

// Runs that may start need a trainer; without one nothing is written. For the sake of those that
// wait for a person its absence is no error.
Result<Path> trainer_for(const Unfinished& runs, const SweepOptions& options) {
  if (!runs.any()) return Path();
  Result<Path> trainer = find_trainer(options.trainer);
  return !trainer && runs.starting == 0 ? Path() : trainer;
}

// Where nothing can be written, nothing is begun.
Result<void> require_writable(const Path& store) {
  std::error_code code;
  Path place = std::filesystem::absolute(store).lexically_normal();
  while (!std::filesystem::exists(place, code) && place.has_relative_path())
    place = place.parent_path();
  if (access(place.c_str(), W_OK | X_OK) == 0) return {};
  const int reason = errno;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("cannot write in {}: {}", place.string(), std::strerror(reason)),
               .hint = "choose a --store in a folder that you may write to; nothing was started"};
}

// The room for all of them together.
Result<Room> room_of(const std::vector<Asked>& sweeps, const SweepOptions& options, bool starts) {
  if (sweeps.size() == 1) return room_for(sweeps[0].chosen, options, starts);
  Expansion together;
  for (const Asked& asked : sweeps)
    together.runs.insert(together.runs.end(), asked.chosen.runs.begin(), asked.chosen.runs.end());
  return room_for(together, options, starts);
}

Result<void> enter(store::Writer& store, Asked& asked) {
  Result<store::SweepRow> row = store.register_sweep(record_of(*asked.sweep, asked.all));
  if (!row) return std::move(row).error();
  asked.row = std::move(*row);
  Result<std::vector<RunRow>> members = store.runs(asked.row.id);
  if (!members) return std::move(members).error();
  asked.members = std::move(*members);
  return {};
}

}  // namespace

std::optional<Error> conflict(std::span<const Sweep> sweeps) {
  std::map<std::string_view, std::string_view> files;  // by name
  for (const Sweep& sweep : sweeps)
    if (const auto [first, fresh] = files.try_emplace(sweep.name, sweep.file); !fresh)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format(
              "{} and {} are both sweeps of the name {}", first->second, sweep.file, sweep.name),
          .hint = "give one of them another `name`, or leave one out"};
  return std::nullopt;
}

Result<RunSummary> run_sweep(const Sweep& sweep, const SweepOptions& options, Outside outside) {
  Result<std::vector<RunSummary>> summaries = run_sweeps({&sweep, 1}, options, outside);
  if (!summaries) return std::move(summaries).error();
  return std::move(summaries->front());
}

Result<std::vector<RunSummary>> run_sweeps(std::span<const Sweep> sweeps,
                                           const SweepOptions& options,
                                           Outside outside) {
  const double begin = outside.clock.monotonic_seconds();
  if (std::optional<Error> error = conflict(sweeps)) return std::move(*error);
  std::vector<Asked> all;
  for (const Sweep& sweep : sweeps) {
    Result<Asked> asked = ask(sweep, options, outside);
    if (!asked) return std::move(asked).error();
    all.push_back(std::move(*asked));
  }
  add_parents(all);
  if (Result<void> done = prepare_parents(all, options, outside); !done)
    return std::move(done).error();
  if (Result<void> writable = require_writable(options.store); !writable)
    return std::move(writable).error();
  const Result<Unfinished> to_do = unfinished(all, options, outside);
  if (!to_do) return to_do.error();
  const Result<Room> room = room_of(all, options, to_do->any());
  if (!room) return room.error();
  Result<Path> trainer = trainer_for(*to_do, options);
  if (!trainer) return std::move(trainer).error();
  for (const std::string& warning : room->warnings) outside.observer.note(warning);

  Result<store::Writer> store = store::Writer::open(
      outside.files, outside.clock, options.store, {.take_over = options.take_over});
  if (!store) return std::move(store).error();
  for (const std::string& warning : store->warnings()) outside.observer.note(warning);
  for (Asked& asked : all)
    if (Result<void> done = enter(*store, asked); !done) return std::move(done).error();

  Result<Nodes> nodes = gather(*store, outside, all);
  if (!nodes) return std::move(nodes).error();
  if (Result<void> done = connect_parents(*store, all, *nodes); !done)
    return std::move(done).error();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (Result<void> done = prepare_stopping(*store,
                                             {.sweep = &sweeps[i],
                                              .number = i,
                                              .all = &all[i].all,
                                              .members = &all[i].members,
                                              .law = &options.law},
                                             nodes->state,
                                             nodes->tracked);
        !done)
      return std::move(done).error();
  nodes->state.policy = options.policy;
  if (Result<void> done = give_room(*store, all, options, *room, *nodes); !done)
    return std::move(done).error();
  if (options.policy.caps.any())
    if (Result<void> done = open_accounts(*store, all, *nodes); !done)
      return std::move(done).error();
  const bool on_cluster = options.executor == ExecutorKind::slurm;
  if (options.retry_failed)
    if (Result<void> done = forgive_failures(outside, options.store, *nodes); !done)
      return std::move(done).error();
  const bool detach = on_cluster && options.detach;
  Executors executor(outside.files,
                     outside.clock,
                     {.ration = this_program(), .trainer = *trainer},
                     {.store = options.store,
                      .programs = {.ration = this_program(), .trainer = *trainer},
                      .config = options.slurm,
                      .detach = detach,
                      .say = [&](std::string_view text) { outside.observer.note(text); }},
                     options.executor);
  if (Result<void> done = executor.open(); !done) return std::move(done).error();
  EngineOptions how = options.engine;
  how.detach = detach;
  if (&outside.files == &real_files()) how.settings_files = &unsynced_files();
  how.leave_on_interrupt = on_cluster;
  Engine engine(
      *store, executor, outside.files, outside.clock, outside.observer, outside.signals, how);
  tell_of_others(*nodes, outside.observer);
  Result<EngineEnd> end = engine.run(std::move(nodes->state), std::move(nodes->tracked));
  if (!end) return std::move(end).error();

  std::vector<RunSummary> summaries;
  for (const Asked& asked : all) {
    Result<RunSummary> summary = summary_of(*store, asked);
    if (!summary) return std::move(summary).error();
    if (all.size() == 1) summary->launched = end->launched;
    summary->adopted = end->adopted;
    summary->damaged_lines = end->damaged_lines;
    summary->cause = end->state.cause;
    if (end->left_at_once) {
      summary->detached = detach && end->stop_requests == 0;
      if (end->stop_requests > 0) summary->cause = StopCause::interrupt;
    }
    summary->seconds = outside.clock.monotonic_seconds() - begin;
    summaries.push_back(std::move(*summary));
  }
  return summaries;
}

}  // namespace ration::scheduler
