#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "base/unsynced_files.h"
#include "scheduler/early_stop.h"
#include "scheduler/executors.h"
#include "scheduler/graph.h"
#include "scheduler/history.h"
#include "scheduler/parents.h"
#include "scheduler/room.h"
#include "scheduler/scheduler.h"

namespace ration::scheduler {
namespace {

using store::RunRow;

std::int64_t count(const RunSummary& summary, RunState state) {
  return summary.by_state[static_cast<std::size_t>(state)];
}

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

// One of the sweeps that are carried out together.
struct Asked {
  const Sweep* sweep = nullptr;
  Expansion all;
  Expansion chosen;              // to be carried out
  std::set<std::string> wanted;  // ids of these
  store::SweepRow row = {};
  std::vector<RunRow> members = {};  // as they were before
};

// Runs of the sweeps, each as one of the first sweep that asks for it, and other runs that are
// alive: those are followed to their end, since they take up slots and nobody else records them.
struct Nodes {
  State state;
  std::vector<Tracked> tracked;
};

Result<void> add_node(const store::Writer& store,
                      Outside& outside,
                      const RunRow& row,
                      bool wanted,
                      std::size_t sweep,
                      Nodes& nodes) {
  Result<NodeAndTracked> both = restore(store, outside.files, outside.clock, row, wanted);
  if (!both) return std::move(both).error();
  both->node.sweep = sweep;
  nodes.state.nodes.push_back(std::move(both->node));
  nodes.tracked.push_back(std::move(both->tracked));
  return {};
}

Result<Nodes> gather(const store::Writer& store,
                     Outside& outside,
                     const std::vector<Asked>& sweeps) {
  Nodes nodes;
  nodes.state.sweeps.clear();
  std::set<std::string> seen;
  for (std::size_t i = 0; i < sweeps.size(); ++i) {
    nodes.state.sweeps.push_back({.weight = sweeps[i].sweep->weight});
    for (const RunRow& row : sweeps[i].members)
      if (sweeps[i].wanted.contains(row.run) && seen.insert(row.run).second)
        if (Result<void> done = add_node(store, outside, row, true, i, nodes); !done)
          return std::move(done).error();
  }
  nodes.state.sweeps.emplace_back();
  Result<store::Progress> all = store.progress(std::nullopt);
  if (!all) return std::move(all).error();
  for (const RunRow& row : all->active)
    if (!seen.contains(row.run))
      if (Result<void> done = add_node(store, outside, row, false, sweeps.size(), nodes); !done)
        return std::move(done).error();
  return nodes;
}

// Lets runs wait for those that they need.
Result<void> connect_parents(const store::Writer& store,
                             const std::vector<Asked>& sweeps,
                             Nodes& nodes) {
  std::unordered_map<std::string_view, std::size_t> nodes_by_id;
  for (std::size_t i = 0; i < nodes.tracked.size(); ++i)
    nodes_by_id.emplace(nodes.tracked[i].id, i);
  const auto node_of = [&](const std::string& id) {
    const auto found = nodes_by_id.find(id);
    return found == nodes_by_id.end() ? kNobody : found->second;
  };
  std::map<std::size_t, Gate> gates;
  for (const Asked& asked : sweeps)
    for (const PlannedRun& run : asked.all.runs) {
      const std::size_t node = node_of(run.id);
      if (node == kNobody) continue;
      Result<std::optional<Gate>> gate = gate_of(run, node_of, store);
      if (!gate) return std::move(gate).error();
      if (*gate) gates[node] = std::move(**gate);
    }
  return connect(nodes.state, std::move(gates));
}

Result<void> give_room(const store::Writer& store,
                       const std::vector<Asked>& sweeps,
                       const SweepOptions& options,
                       const Room& room,
                       Nodes& nodes) {
  nodes.state.policy.slots = room.slots;
  nodes.state.room = Occupancy(room.capacity);
  std::unordered_map<std::string_view, const PlannedRun*> planned;
  for (const Asked& asked : sweeps)
    for (const PlannedRun& run : asked.all.runs) planned.emplace(run.id, &run);
  for (std::size_t i = 0; i < nodes.tracked.size(); ++i) {
    RunNode& node = nodes.state.nodes[i];
    if (const auto found = planned.find(node.id); found != planned.end()) {
      node.need = need_of(found->second->execution, options, room);
      node.priority = found->second->priority;
      continue;
    }
    // Of another sweep, and alive.
    Result<run::RunFile> file = store.spec(nodes.tracked[i].run);
    if (!file) return std::move(file).error();
    node.need = need_of(file->execution, options, room);
  }
  return {};
}

// What is used of the budget, and what each run would add.
Result<void> open_accounts(const store::Writer& store,
                           const std::vector<Asked>& sweeps,
                           Nodes& nodes) {
  std::unordered_map<std::string_view, double> left;  // by run-id
  std::vector<std::string> names;
  for (const Asked& asked : sweeps) {
    names.push_back(asked.sweep->name);
    for (const PlannedRun& run : asked.all.runs) left[run.id] = run.facts.flops;
  }
  for (const Asked& asked : sweeps)
    for (const RunRow& row : asked.members)
      // Of a living attempt nothing is in `used` yet.
      if (const auto found = left.find(row.run);
          found != left.end() && row.state != RunState::active)
        found->second = flops_left(row, found->second);
  for (RunNode& node : nodes.state.nodes) {
    const auto found = left.find(node.id);
    node.counted = found != left.end();
    if (node.counted) node.flops_left = found->second;
  }
  Result<store::Usage> used = store.usage_of_sweeps(names);
  if (!used) return std::move(used).error();
  nodes.state.used = *used;
  Result<store::Progress> progress = store.progress(std::nullopt);
  if (!progress) return std::move(progress).error();
  nodes.state.speed = progress->flops_per_second;
  return {};
}

// A run asks for its parents, too, and for theirs: each of the first sweep that has it.
void add_parents(std::vector<Asked>& sweeps) {
  std::unordered_map<std::string_view, std::pair<Asked*, const PlannedRun*>> known;
  std::set<std::string> there;
  std::vector<const PlannedRun*> open;
  for (Asked& asked : sweeps) {
    for (const PlannedRun& run : asked.all.runs) known.try_emplace(run.id, &asked, &run);
    for (const PlannedRun& run : asked.chosen.runs)
      if (there.insert(run.id).second) open.push_back(known.at(run.id).second);
  }
  while (!open.empty()) {
    const PlannedRun* run = open.back();
    open.pop_back();
    for (const std::string& id : parents_of(*run)) {
      const auto parent = known.find(id);
      if (parent == known.end() || !there.insert(id).second) continue;
      parent->second.first->chosen.runs.push_back(*parent->second.second);
      open.push_back(parent->second.second);
    }
  }
  for (Asked& asked : sweeps)
    for (const PlannedRun& chosen : asked.chosen.runs) asked.wanted.insert(chosen.id);
}

// Before anything is written: keeps what children need, and asks for parents that nobody trains.
Result<void> prepare_parents(std::vector<Asked>& sweeps,
                             const SweepOptions& options,
                             Outside& outside) {
  std::vector<Expansion*> all, chosen;
  for (Asked& asked : sweeps) {
    all.push_back(&asked.all);
    chosen.push_back(&asked.chosen);
  }
  const RunsById runs = runs_by_id(all);
  keep_for_children(runs);
  keep_for_children(runs_by_id(chosen));
  std::vector<const PlannedRun*> needy;
  for (const Expansion* sweep : chosen)
    for (const PlannedRun& run : sweep->runs)
      if (!run.needs.empty()) needy.push_back(&run);
  if (needy.empty()) return {};
  std::optional<store::Reader> reader;
  if (outside.files.exists(store::Layout{options.store}.database())) {
    Result<store::Reader> opened = store::Reader::open(outside.files, options.store);
    if (!opened) return std::move(opened).error();
    reader = std::move(*opened);
  }
  return check_parents_outside(needy, runs, reader ? &*reader : nullptr);
}

Result<void> forgive_failures(Outside& outside, const Path& store, Nodes& nodes) {
  for (RunNode& node : nodes.state.nodes) {
    if (node.state != RunState::failed && node.state != RunState::invalid) continue;
    const run::RunFolder folder(outside.files, store::Layout{store}.run(node.id));
    if (Result<void> done = mark_retry(outside.files, folder, outside.clock.unix_seconds()); !done)
      return done;
    node.state = RunState::ready;
    forgive(node);
  }
  return {};
}

Result<void> summarise(const store::Writer& store,
                       const std::set<std::string>& wanted,
                       RunSummary& summary) {
  Result<std::vector<RunRow>> rows = store.runs(summary.sweep.id);
  if (!rows) return std::move(rows).error();
  for (RunRow& row : *rows) {
    if (!wanted.contains(row.run)) continue;
    ++summary.runs;
    ++summary.by_state[static_cast<std::size_t>(row.state)];
    summary.rows.push_back(std::move(row));
  }
  Result<std::vector<store::AttemptRow>> live = store.live_attempts();
  if (!live) return std::move(live).error();
  summary.left_running = static_cast<std::int64_t>(live->size());
  return {};
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

// Runs that nobody asks for here take up slots as long as they live: without a word that looks like
// a scheduler that does nothing.
void tell_of_others(const Nodes& nodes, Observer& observer) {
  std::vector<std::string> others;
  for (const RunNode& node : nodes.state.nodes)
    if (!node.wanted && node.state == RunState::active) others.push_back(node.id.substr(0, 12));
  if (others.empty()) return;
  constexpr std::size_t kNamed = 5;
  const std::size_t named = std::min(kNamed, others.size());
  observer.note(fmt::format(
      "{} of another sweep, or of an older version of this one, {} alive and {} up slots until {} "
      "end{}: {}{}; `ration cancel RUN` ends one",
      counted(others.size(), "run"),
      others.size() == 1 ? "is" : "are",
      others.size() == 1 ? "takes" : "take",
      others.size() == 1 ? "its" : "their",
      others.size() == 1 ? "" : "s",
      fmt::join(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(named), ", "),
      others.size() > kNamed ? ", …" : ""));
}

Result<Asked> ask(const Sweep& sweep, const SweepOptions& options, Outside& outside) {
  Asked asked{.sweep = &sweep};
  ExpandOptions whole = options.expand;
  whole.only.clear();
  Result<Expansion> all = expand(sweep, outside.files, whole);
  if (!all) return std::move(all).error();
  asked.all = std::move(*all);
  Result<Expansion> chosen =
      options.expand.only.empty() ? asked.all : expand(sweep, outside.files, options.expand);
  if (!chosen) return std::move(chosen).error();
  asked.chosen = std::move(*chosen);
  if (options.runs)
    std::erase_if(asked.chosen.runs,
                  [&](const PlannedRun& run) { return !options.runs->contains(run.id); });
  if (!options.runs)  // a loop asks for the same sweep again and again
    for (const std::string& note : asked.chosen.notes) outside.observer.note(note);
  return asked;
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

// What became of one of the sweeps; what they share of the engine is added by the caller.
Result<RunSummary> summary_of(const store::Writer& store, const Asked& asked) {
  RunSummary summary{.sweep = asked.row};
  std::unordered_map<std::string_view, std::int64_t> attempts;
  for (const RunRow& member : asked.members) {
    attempts[member.run] = member.attempts;
    if (asked.wanted.contains(member.run) &&
        (member.state == RunState::done || member.state == RunState::diverged))
      ++summary.reused;
  }
  if (Result<void> done = summarise(store, asked.wanted, summary); !done)
    return std::move(done).error();
  for (const RunRow& row : summary.rows) summary.launched += row.attempts - attempts[row.run];
  return summary;
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

int RunSummary::exit_code() const {
  if (detached) return 0;
  if (cause == StopCause::interrupt) return ration::exit_code(ErrorKind::interrupted);
  if (cause == StopCause::disk) return ration::exit_code(ErrorKind::resource);
  const std::int64_t good = count(*this, RunState::done) + count(*this, RunState::diverged) +
                            count(*this, RunState::stopped);
  return good == runs ? 0 : 1;
}

std::string RunSummary::one_line() const {
  std::string text = fmt::format("{} runs:", runs);
  for (int i = 0; i < store::kRunStates; ++i)
    if (by_state[static_cast<std::size_t>(i)] > 0)
      text += fmt::format(
          " {} {},", by_state[static_cast<std::size_t>(i)], store::name(static_cast<RunState>(i)));
  text.back() = ' ';
  text += fmt::format("in {}", format_duration(seconds));
  if (reused > 0) text += fmt::format(" ({} had a result before)", reused);
  return text;
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
