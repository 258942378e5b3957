// The database made again from files: sweeps/ says what was asked for, runs/ what became of it,
// fits/ what was fitted, evals/ how checkpoints judged pairs.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/hash.h"
#include "run/event_scan.h"
#include "run/run_id.h"
#include "scheduler/attempt_time.h"
#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"
#include "scheduler/slurm/batch.h"
#include "scheduler/slurm/ending.h"
#include "scheduler/supervisor.h"
#include "scheduler/verdict_file.h"
#include "store/writer.h"

namespace ration::scheduler {
namespace {

using store::AttemptState;
using store::RunRow;

constexpr const char* kClusterHost = "slurm";  // as slurm_executor.cc says it

class Rebuild {
 public:
  Rebuild(store::Writer& writer, Files& files) : writer_(writer), files_(files) {}

  Result<RebuildSummary> run() {
    for (const auto part : {&Rebuild::sweeps,
                            &Rebuild::orphans,
                            &Rebuild::jobs,
                            &Rebuild::histories,
                            &Rebuild::fits,
                            &Rebuild::evals})
      if (Result<void> done = (this->*part)(); !done) return std::move(done).error();
    return std::move(summary_);
  }

 private:
  // What became of an attempt.
  struct Past {
    bool alive = false;  // it may be
    Ending ending;
    std::optional<store::RunUpdate> verdict;  // how its run went on, where that was recorded
  };

  Result<void> sweeps();
  Result<void> orphans();
  Result<void> jobs();
  Result<void> histories();
  Result<void> history_of(const RunRow& row);
  std::vector<int> attempts_of(const RunRow& row, const run::RunFolder& folder);
  Result<Past> add_attempt(const RunRow& row, const run::RunFolder& folder, int number);
  Result<std::int64_t> add_with_log(const store::AttemptRow& attempt);
  Result<void> fits();
  Result<void> evals();
  void problem(const Error& error) {
    summary_.problems.push_back(error.where ? fmt::format("{}: {}", error.where->file, error.what)
                                            : error.what);
  }

  store::Writer& writer_;
  Files& files_;
  // Tokens of attempts that were handed to a cluster and are not known to be over: by run-id and
  // number.
  std::map<std::string, std::map<int, std::string>> jobs_;
  std::set<std::string> tokens_;  // of the attempts so far
  RebuildSummary summary_;
};

// The token that a worker noted in its log; empty when there is none.
std::string token_in_log(Files& files, const Path& log) {
  constexpr std::uint64_t kStart = 64U << 10;
  std::string token;
  const auto ignored =
      run::visit_events(files, log, 0, 0, kStart, [&](const run::EventView& event) {
        if (event.type == run::EventType::start && token.empty()) token = event.text("token");
      });
  (void)ignored;
  return run::is_run_id(token) ? token : std::string();  // as many digits as a run-id has
}

Result<void> Rebuild::sweeps() {
  const Path folder = writer_.layout().sweeps();
  Result<std::vector<std::string>> names = files_.list(folder);
  if (!names) return std::move(names).error();
  std::vector<store::SweepRecord> records;
  for (const std::string& name : *names) {
    const bool membership = name.ends_with(".json") && !name.ends_with(".source.json");
    if (!membership) continue;
    Result<store::SweepRecord> record = store::read_sweep_record(files_, folder / name);
    if (record)
      records.push_back(std::move(*record));
    else
      problem(record.error());
  }
  std::stable_sort(
      records.begin(), records.end(), [](const auto& a, const auto& b) { return a.used < b.used; });
  for (const store::SweepRecord& record : records) {
    if (Result<store::SweepRow> row = writer_.register_sweep(record); !row)
      return std::move(row).error();
    ++summary_.sweeps;
  }
  return {};
}

// Run folders that no sweep of this store asks for, for example copied from another.
Result<void> Rebuild::orphans() {
  Result<std::vector<RunRow>> rows = writer_.runs(std::nullopt);
  if (!rows) return std::move(rows).error();
  std::map<std::string, bool> known;
  for (const RunRow& row : *rows) known[row.run] = true;
  Result<std::vector<std::string>> names = files_.list(writer_.layout().runs());
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (known.contains(name) || !run::is_run_id(name)) continue;
    const run::RunFolder folder(files_, writer_.layout().run(name));
    Result<run::RunFile> file = folder.read_spec();
    if (!file) {
      problem(file.error());
      continue;
    }
    Result<std::int64_t> added =
        writer_.add_run({.id = file->id, .spec = file->spec, .execution = file->execution});
    if (!added) return std::move(added).error();
  }
  return {};
}

// Attempts that wait in a cluster's queue have no folder yet.
Result<void> Rebuild::jobs() {
  const Path root = slurm::batches_of(writer_.layout().folder);
  if (!files_.exists(root)) return {};
  Result<std::vector<std::string>> names = files_.list(root);
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (!files_.exists(root / name / "tasks.jsonl")) continue;
    Result<slurm::Batch> batch = slurm::read_batch(files_, root / name);
    if (!batch) {
      problem(batch.error());
      continue;
    }
    for (const Launch& task : batch->tasks) {
      const run::RunFolder folder(files_, task.run_folder);
      const Path attempt = folder.attempt_path(task.number);
      const bool over = files_.exists(folder.exit_path(task.number)) || buried(files_, attempt) ||
                        slurm::read_queue_ending(files_, attempt);
      if (!over) jobs_[task.run_folder.filename().string()].emplace(task.number, task.token);
    }
  }
  return {};
}

Result<void> Rebuild::histories() {
  Result<std::vector<RunRow>> rows = writer_.runs(std::nullopt);
  if (!rows) return std::move(rows).error();
  for (const RunRow& row : *rows) {
    ++summary_.runs;
    if (Result<void> done = history_of(row); !done) return done;
  }
  return {};
}

// In the order of their numbers.
std::vector<int> Rebuild::attempts_of(const RunRow& row, const run::RunFolder& folder) {
  std::set<int> numbers;
  if (files_.exists(folder.path())) {
    if (const Result<std::vector<int>> there = folder.attempts())
      numbers.insert(there->begin(), there->end());
    else
      problem(there.error());
  }
  if (const auto waiting = jobs_.find(row.run); waiting != jobs_.end())
    for (const auto& [number, token] : waiting->second) numbers.insert(number);
  return {numbers.begin(), numbers.end()};
}

Result<void> Rebuild::history_of(const RunRow& row) {
  const run::RunFolder folder(files_, writer_.layout().run(row.run));
  const int forgiven = forgiven_attempts(files_, folder);
  const bool cancelled = marked_cancelled(files_, folder);
  State state{.nodes = {{.id = row.run}}};
  store::RunUpdate update;
  bool alive = false;
  for (const int number : attempts_of(row, folder)) {
    Result<Past> past = add_attempt(row, folder, number);
    if (!past) return std::move(past).error();
    alive = alive || past->alive;
    if (number <= forgiven) continue;
    state.nodes[0].state = RunState::active;
    state = transition(
                prepare(std::move(state), 0), {.kind = EventKind::ended, .ending = past->ending}, 0)
                .state;
    update = past->verdict.value_or(store::RunUpdate{.state = state.nodes[0].state});
  }
  if (alive) return writer_.update_run(row.id, {.state = RunState::active});
  const Published published = take_result(files_, folder);
  if (!published.note.empty()) summary_.notes.push_back(published.note);
  if (const std::optional<Json>& result = published.result)
    return writer_.set_result(row.id, *result, {.state = state_of_result(*result)});
  if (cancelled)
    update = {.state = RunState::cancelled, .reason = "cancelled"};
  else if (const std::string stopped = stop_reason(files_, folder);
           !store::settled(update.state) && !stopped.empty())
    update = {.state = RunState::stopped, .reason = stopped};
  else if (!store::settled(update.state))
    update.state = RunState::ready;
  return writer_.update_run(row.id, update);
}

Result<std::int64_t> Rebuild::add_with_log(const store::AttemptRow& attempt) {
  Result<std::int64_t> id = writer_.add_attempt(attempt);
  for (bool more = id.has_value(); more;) {
    Result<store::IngestSummary> taken = writer_.ingest({&*id, 1});
    if (!taken) return std::move(taken).error();
    more = taken->more;
  }
  return id;
}

Result<Rebuild::Past> Rebuild::add_attempt(const RunRow& row,
                                           const run::RunFolder& folder,
                                           int number) {
  ++summary_.attempts;
  const Path path = folder.attempt_path(number);
  const auto note = read_supervisor_note(files_, path);
  store::AttemptRow attempt{.run = row.id, .number = number};
  attempt.token = note ? note->token : token_in_log(files_, folder.events_path(number));
  if (note) {
    attempt.host = note->host;
    attempt.boot = note->supervisor.boot;
    attempt.pid = note->supervisor.pid;
    attempt.pid_start = note->supervisor.start;
    attempt.submitted = note->started;
  }
  bool lives = !files_.exists(folder.exit_path(number)) &&
               (note ? noted_in(*note, path) && (alive(note->supervisor) || alive(note->worker))
                     : !attempt.token.empty() && !find_processes([&](std::string_view word) {
                                                    return word == attempt.token;
                                                  }).empty());
  if (const auto waiting = jobs_.find(row.run); waiting != jobs_.end())
    if (const auto job = waiting->second.find(number);
        job != waiting->second.end() && (!note || note->token == job->second)) {
      attempt.token = job->second;
      attempt.host = kClusterHost;
      lives = true;
    }
  // An attempt whose supervisor could not say who it is, or a copy of another's folder: any token
  // that is its alone will do.
  if (attempt.token.empty() || !tokens_.insert(attempt.token).second)
    attempt.token = sha256_hex(fmt::format("{}/attempt-{}", row.run, number)).substr(0, 32);

  if (lives) {
    attempt.state = AttemptState::submitted;
    Result<std::int64_t> id = add_with_log(attempt);
    if (!id) return std::move(id).error();
    return Past{.alive = true};
  }
  const Outcome outcome = outcome_of(files_, folder, number, attempt.token);
  for (const std::string& text : outcome.notes) summary_.notes.push_back(text);
  attempt.state = outcome.state;
  attempt.failure = outcome.failure;
  attempt.exit_code = outcome.exit_code;
  Past past{.ending = outcome.ending};
  const std::optional<RecordedVerdict> verdict = read_verdict(files_, path, attempt.token);
  if (const auto time = read_attempt_time(files_, path); time && !outcome.ending.never_started)
    attempt.ended = time->ended();
  else if (verdict)
    attempt.ended = verdict->ended;
  else if (attempt.state == AttemptState::succeeded && note)
    attempt.ended = note->started + outcome.result->value("wall_s", 0.0);
  Result<std::int64_t> id = add_with_log(attempt);
  if (!id) return std::move(id).error();
  if (!verdict) return past;
  past.verdict = verdict->update;
  // Once more, for its line in the run's history.
  if (Result<void> done = writer_.end_attempt(*id,
                                              {.state = attempt.state,
                                               .failure = attempt.failure,
                                               .exit_code = attempt.exit_code,
                                               .ended = attempt.ended},
                                              verdict->update,
                                              std::nullopt,
                                              false);
      !done)
    return std::move(done).error();
  return past;
}

Result<void> Rebuild::fits() {
  const Path folder = writer_.layout().fits();
  Result<std::vector<std::string>> names = files_.list(folder);
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (!name.ends_with(".json")) continue;
    Result<store::StoredFit> fit = store::read_fit_record(files_, folder / name);
    if (!fit) {
      problem(fit.error());
      continue;
    }
    if (Result<void> done = writer_.add_fit(fit->fit, fit->created); !done) return done;
    ++summary_.fits;
  }
  return {};
}

Result<void> Rebuild::evals() {
  const Path folder = writer_.layout().evals();
  if (!files_.exists(folder)) return {};
  Result<std::vector<std::string>> names = files_.list(folder);
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    Result<store::StoredEval> stored = store::read_eval_record(files_, folder / name);
    if (!stored) {
      problem(stored.error());
      continue;
    }
    Result<void> done = writer_.add_eval(stored->eval, stored->created);
    if (!done && done.error().kind != ErrorKind::input) return done;
    if (done)
      ++summary_.evals;
    else
      problem(std::move(done).error().with_context((folder / name).string()));
  }
  return {};
}

}  // namespace

Result<RebuildSummary> rebuild_store(const Path& store,
                                     Files& files,
                                     Clock& clock,
                                     bool take_over) {
  const store::Layout layout{store};
  if (!files.exists(layout.runs()))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no runs", store.string()),
                 .hint = "--store names the folder"};
  Result<store::Writer> writer =
      store::Writer::open(files, clock, store, {.take_over = take_over, .rebuild = true});
  if (!writer) return std::move(writer).error();
  Result<RebuildSummary> summary = Rebuild(*writer, files).run();
  if (!summary) {
    writer->give_up_rebuilt();
    return summary;
  }
  summary->replaced = files.exists(layout.database());
  if (Result<void> done = writer->publish_rebuilt(); !done) return std::move(done).error();
  return summary;
}

}  // namespace ration::scheduler
