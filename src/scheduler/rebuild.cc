// The database made again from files: sweeps/ says what was asked for, runs/ what became of it,
// fits/ what was fitted.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/hash.h"
#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"
#include "scheduler/supervisor.h"
#include "store/writer.h"

namespace ration::scheduler {
namespace {

using store::AttemptState;
using store::RunRow;

class Rebuild {
 public:
  Rebuild(store::Writer& writer, Files& files) : writer_(writer), files_(files) {}

  Result<RebuildSummary> run() {
    for (const auto part :
         {&Rebuild::sweeps, &Rebuild::orphans, &Rebuild::histories, &Rebuild::fits})
      if (Result<void> done = (this->*part)(); !done) return std::move(done).error();
    return std::move(summary_);
  }

 private:
  Result<void> sweeps();
  Result<void> orphans();
  Result<void> histories();
  Result<void> history_of(const RunRow& row);
  Result<Ending> add_attempt(const RunRow& row, const run::RunFolder& folder, int number);
  Result<void> fits();
  void problem(const Error& error) { summary_.problems.push_back(error.what); }

  store::Writer& writer_;
  Files& files_;
  RebuildSummary summary_;
};

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
    if (known.contains(name)) continue;
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

Result<void> Rebuild::histories() {
  Result<std::vector<RunRow>> rows = writer_.runs(std::nullopt);
  if (!rows) return std::move(rows).error();
  for (const RunRow& row : *rows) {
    ++summary_.runs;
    if (Result<void> done = history_of(row); !done) return done;
  }
  return {};
}

Result<void> Rebuild::history_of(const RunRow& row) {
  const run::RunFolder folder(files_, writer_.layout().run(row.run));
  if (!files_.exists(folder.path())) return {};
  Result<std::vector<int>> numbers = folder.attempts();
  if (!numbers) return std::move(numbers).error();
  const int forgiven = forgiven_attempts(files_, folder);
  State state{.nodes = {{.id = row.run}}};
  for (const int number : *numbers) {
    Result<Ending> ending = add_attempt(row, folder, number);
    if (!ending) return std::move(ending).error();
    if (number <= forgiven) continue;
    state.nodes[0].state = RunState::active;
    state =
        transition(prepare(std::move(state), 0), {.kind = EventKind::ended, .ending = *ending}, 0)
            .state;
  }
  Result<std::optional<Json>> result = folder.result();
  if (!result) {
    problem(result.error());
    return {};
  }
  if (*result) return writer_.set_result(row.id, **result, {.state = state_of_result(**result)});
  Result<std::vector<store::AttemptRow>> attempts = writer_.attempts(row.id);
  if (!attempts) return std::move(attempts).error();
  const bool alive = std::any_of(attempts->begin(), attempts->end(), [](const auto& attempt) {
    return !store::ended(attempt.state);
  });
  store::RunUpdate update{.state = state.nodes[0].state};
  const std::string stopped = stop_reason(files_, folder);
  if (alive) {
    update.state = RunState::active;
  } else if (marked_cancelled(files_, folder)) {
    update.state = RunState::cancelled;
  } else if (!store::settled(update.state)) {
    update.state = stopped.empty() ? RunState::ready : RunState::stopped;
    update.reason = stopped;
  }
  return writer_.update_run(row.id, update);
}

Result<Ending> Rebuild::add_attempt(const RunRow& row, const run::RunFolder& folder, int number) {
  ++summary_.attempts;
  const auto note = read_supervisor_note(files_, folder.attempt_path(number));
  store::AttemptRow attempt{.run = row.id, .number = number};
  // An attempt whose supervisor could not say who it is: any token that is its alone will do.
  attempt.token =
      note ? note->token : sha256_hex(fmt::format("{}/attempt-{}", row.run, number)).substr(0, 32);
  if (note) {
    attempt.host = note->host;
    attempt.boot = note->supervisor.boot;
    attempt.pid = note->supervisor.pid;
    attempt.pid_start = note->supervisor.start;
    attempt.submitted = note->started;
  }
  // A supervisor may carry out another attempt by now.
  const bool lives = note && !files_.exists(folder.exit_path(number)) &&
                     (alive(note->supervisor) || alive(note->worker));
  Ending ending;
  if (lives) {
    attempt.state = AttemptState::submitted;
  } else {
    Result<Outcome> outcome = outcome_of(files_, folder, number, attempt.token);
    if (!outcome) return std::move(outcome).error();
    attempt.state = outcome->state;
    attempt.failure = outcome->failure;
    attempt.exit_code = outcome->exit_code;
    ending = outcome->ending;
  }
  Result<std::int64_t> id = writer_.add_attempt(attempt);
  if (!id) return std::move(id).error();
  for (bool more = true; more;) {
    Result<store::IngestSummary> taken = writer_.ingest({&*id, 1});
    if (!taken) return std::move(taken).error();
    more = taken->more;
  }
  return ending;
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

}  // namespace

Result<RebuildSummary> rebuild_store(const Path& store, Files& files, Clock& clock) {
  if (!files.exists(store::Layout{store}.runs()))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no runs", store.string()),
                 .hint = "--store names the folder"};
  Result<store::Writer> writer = store::Writer::open(files, clock, store, {.rebuild = true});
  if (!writer) return std::move(writer).error();
  Result<RebuildSummary> summary = Rebuild(*writer, files).run();
  if (!summary) return summary;
  if (Result<void> done = writer->publish_rebuilt(); !done) return std::move(done).error();
  return summary;
}

}  // namespace ration::scheduler
