#pragma once

// The experiment database: an index over sweeps/ and runs/ in the store folder, kept in SQLite and
// rebuilt from those files at any time (`ration db rebuild`). docs/store.md describes its tables.
//
//   Result<store::Reader> store = store::Reader::open(real_files(), "ration-runs");
//   if (!store) return std::move(store).error();
//   auto rows = store->observations({.sweep = "tiny"});
//   for (const store::Observation& row : *rows) use(row.params.total, row.final_loss);
//
// Readers work at any time, also while `ration run` writes. Writer is for the scheduler: one at a
// time. FitWriter adds fits at any time. Errors: a missing store, a damaged database and a full
// disk are told apart, each with what to do. Objects are for one thread.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "run/run.h"
#include "store/states.h"
#include "tables/rows.h"

namespace ration::store {

class Database;

// Where things lie in a store folder.
struct Layout {
  Path folder;
  std::string database_file = "ration.db";

  Path database() const { return folder / database_file; }
  Path lock() const { return folder / "ration.lock"; }
  Path requests() const { return folder / "requests.log"; }
  Path sweeps() const { return folder / "sweeps"; }
  Path runs() const { return folder / "runs"; }
  Path fits() const { return folder / "fits"; }
  Path evals() const { return folder / "evals"; }
  Path run(std::string_view run_id) const { return runs() / run_id; }
};

// ---- What a fit reads ---------------------------------------------------------------------------

// Which runs a fit wants. `sweep` is a sweep's name, the path of its file, or empty for all runs.
struct ObservationQuery {
  std::string sweep = {};
  bool include_diverged = false;  // rows without a usable loss; off because most laws cannot use it
};

// One finished run.
struct Observation {
  std::string run;    // run-id
  std::string sweep;  // name of the newest sweep that asked for it
  std::string cell;   // runs that differ in seed and subset_seed alone share it
  run::RunSpec spec;  // every setting: run::get(spec, "width")
  run::ParamCounts params;
  double tokens = 0;         // seen in training, repeats included
  double unique_tokens = 0;  // distinct
  double epochs = 0;         // tokens / unique_tokens
  double final_loss = 0;     // nats a token, held out; NaN when diverged
  double best_loss = 0;      // lowest held-out loss of the run
  std::array<double, run::kFlopConventions.size()> flops{};  // of the run, as kFlopConventions
  bool diverged = false;
};

// Digest of the spec without seed and subset_seed: the cell that replicas share. The second is for
// a run with init = "run:…": replicas begin with replicas, so the other run's cell stands for its
// id.
std::string cell_key(const run::RunSpec& spec);
std::string cell_key(const run::RunSpec& spec, const std::string& cell_of_init);

// ---- Fits ---------------------------------------------------------------------------------------

struct FitRecord {
  std::string law;                     // "data-constrained"
  std::string query;                   // what was fitted: a sweep's name or a file
  std::string status;                  // why the solver stopped, or what makes it doubtful
  double loss = 0;                     // objective at the solution
  Json document;                       // the ration.fit/1 document, whole
  std::vector<std::string> runs = {};  // run-ids; empty when the rows came from a file
};

struct StoredFit {
  std::int64_t id = 0;
  double created = 0;  // UNIX seconds
  FitRecord fit;
};

// ---- Evaluations of pairs -----------------------------------------------------------------------

// What `ration eval` found for one checkpoint.
struct EvalRecord {
  Json document;       // ration.eval/1, whole
  std::string tokens;  // ration.eval_tokens/1, JSON lines; empty unless they were to be kept
};

// One accuracy of one evaluation.
struct EvalRow {
  std::string run;         // run-id; empty where the store has none of this checkpoint
  std::int64_t step = 0;   // of the checkpoint; 0 = not known
  double tokens = 0;       // seen in training by then; NaN when not known
  double epochs = 0;       // likewise
  std::string checkpoint;  // SHA-256 of the weights
  std::string task;        // "fib", "pairs", "generated"
  std::string data;        // digest of the task
  std::string score;       // "avg_pmi", …
  bool skip_first = false;
  std::string part;  // pooled, corpus, group, copied, length
  std::string name;  // of the part
  std::string corpus;
  std::optional<std::int64_t> prompt;  // nothing for medians over the prompts
  std::int64_t items = 0;
  double accuracy = 0;  // of 1
  double low = 0;       // of its 95 % interval; NaN where there is none
  double high = 0;
};

// ---- What people ask ----------------------------------------------------------------------------

struct SweepRow {
  std::int64_t id = 0;
  std::string name;
  std::string version;  // first 12 hex digits of the digest of text and membership
  std::string file;     // as it was given
  double created = 0;   // UNIX seconds
  double used = 0;      // last `ration run` with this version
  std::int64_t runs = 0;
};

struct RunRow {
  std::int64_t id = 0;
  std::string run;  // run-id
  RunState state = RunState::ready;
  std::string reason;  // why it is in this state, for people; may be empty
  double params = 0;   // block + head, the count that fits use unless told otherwise
  double tokens = 0;   // asked for
  double unique_tokens = 0;
  double epochs = 0;  // asked for
  double flops = 0;   // of the whole run, convention `exact`
  double final_loss = 0;
  double best_loss = 0;
  double tokens_seen = 0;  // progress; of the newest attempt
  double last_loss = 0;    // newest training loss; NaN when none
  std::int64_t attempts = 0;
  double started = 0;     // of the newest attempt, UNIX seconds; 0 = never
  double wall_s = 0;      // of the finished attempt
  double not_before = 0;  // UNIX seconds; earliest next start
  std::int64_t ordinal = 0;
  std::string tags = {};
};

struct AttemptRow {
  std::int64_t id = 0;
  std::int64_t run = 0;  // RunRow::id
  int number = 0;
  std::string token;
  AttemptState state = AttemptState::created;
  FailureClass failure = FailureClass::none;
  std::string host;
  std::string boot;              // boot id; a pid means nothing on another
  std::int64_t pid = 0;          // of the supervisor; 0 = unknown
  std::int64_t pid_start = 0;    // clock ticks after boot, /proc/PID/stat field 22
  double submitted = 0;          // UNIX seconds
  double ended = 0;              // UNIX seconds; 0 = not yet
  std::optional<int> exit_code;  // as in the file `exit`
  std::int64_t last_step = 0;
  std::optional<std::int64_t> from_step;  // checkpoint that it resumed from, -1 = from the start
  std::int64_t damaged = 0;               // lines of its log that could not be used
};

struct EventRow {
  double t = 0;  // UNIX seconds
  std::string what;
  std::string detail;
  int attempt = 0;  // 0 = of the run
};

struct MetricPoint {
  std::string name;  // "val/loss", "train/lr", …
  std::int64_t step = 0;
  double value = 0;
};

// A held-out loss of a run.
struct Evaluation {
  std::int64_t step = 0;
  double tokens = 0;  // seen by then
  double loss = 0;    // nats a token
};

// A sweep at a glance.
struct Progress {
  std::array<std::int64_t, kRunStates> by_state{};
  double flops_total = 0;       // convention `exact`
  double flops_settled = 0;     // of runs that need no more work
  double flops_in_vain = 0;     // of these, of runs that ended without a result
  double flops_per_second = 0;  // of one slot, from finished runs; 0 = not known yet
  std::vector<RunRow> active;
};

// What attempts have used up.
struct Usage {
  double flops = 0;    // convention `exact`; steps that were done again count again
  double seconds = 0;  // of slots: from the first line of a log to its last, times `processes`

  Usage& operator+=(const Usage& other) {
    flops += other.flops;
    seconds += other.seconds;
    return *this;
  }
};

// ---- What other programs read -------------------------------------------------------------------

enum class Table { runs, losses, metrics, fits, evals };

struct TableQuery {
  Table table = Table::runs;
  // Run-ids; nothing = all. Of the fits those that used one of these runs.
  std::optional<std::vector<std::string>> runs = {};
};

// The columns of a table in their order: those of the view of its name (docs/store.md), and for
// runs a column for every setting in place of `config`.
std::vector<tables::Column> columns_of(Table table);

// Takes one row; an error ends the reading.
using RowVisitor = std::function<Result<void>(const tables::Row& row)>;

struct ReaderOptions {
  double busy_seconds = 10;  // how long to wait for a writer; readers of a WAL never wait
};

// Queries. Cost: status of 10,000 runs takes a few milliseconds.
class Reader {
 public:
  static Result<Reader> open(Files& files, const Path& folder, const ReaderOptions& options = {});
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  const Layout& layout() const { return layout_; }

  Result<std::vector<Observation>> observations(const ObservationQuery& query) const;
  // The newest fit, of a law when `law` is not empty; nothing when there is none.
  Result<std::optional<StoredFit>> newest_fit(std::string_view law = {}) const;

  // The scheduler that has the store at `now` (UNIX seconds), as "process 17 on node3"; nothing
  // when none has.
  Result<std::optional<std::string>> holder(double now) const;
  Result<std::vector<SweepRow>> sweeps() const;
  // By name (its newest version), name-version, or path of its file.
  Result<SweepRow> find_sweep(std::string_view name_or_file) const;
  // The run whose id begins so; an error lists the candidates when there are several.
  Result<RunRow> find_run(std::string_view id_prefix) const;
  Result<std::vector<RunRow>> runs(std::optional<std::int64_t> sweep) const;
  Result<Progress> progress(std::optional<std::int64_t> sweep) const;
  // Of all attempts that ended of runs that any version of this sweep asks for, whoever started
  // them.
  Result<Usage> usage_of_sweep(std::string_view name) const;
  // A run of several of them counts once.
  Result<Usage> usage_of_sweeps(const std::vector<std::string>& names) const;
  Result<Usage> usage_of_attempt(std::int64_t attempt) const;
  // Spec and execution as stored.
  Result<run::RunFile> spec(std::int64_t run) const;
  Result<std::vector<AttemptRow>> attempts(std::int64_t run) const;
  Result<std::vector<AttemptRow>> live_attempts() const;
  Result<std::vector<EventRow>> events(std::int64_t run, std::size_t newest = 50) const;
  // Names of the sweeps that ask for a run.
  Result<std::vector<std::string>> sweeps_of(std::int64_t run) const;
  // Valid points: one for each name and step, steps that a later attempt repeated left out.
  Result<std::vector<MetricPoint>> metrics(std::int64_t run) const;
  // Valid held-out losses of a run after a step, in order of steps; `run` is its whole id. Whatever
  // its state: those of a run that was stopped early are no final losses.
  Result<std::vector<Evaluation>> evaluations(std::string_view run,
                                              std::int64_t after_step = -1) const;

  // Every accuracy that was recorded of a run's checkpoints, in the order of their steps; `run` is
  // its whole id.
  Result<std::vector<EvalRow>> evals_of(std::string_view run) const;

  // All rows of a table, one at a time: by run-id, then name and step; fits as they were made. Runs
  // without a row are no error. Memory: the points of one run.
  Result<void> each_row(const TableQuery& query, const RowVisitor& visit) const;

  // A copy of the whole database in one file, as it stood at one moment, also while a scheduler
  // writes; nobody's hold goes with it. `file` appears whole, or is replaced.
  Result<void> backup(Files& files, const Path& file) const;

  // Everything that must be equal after a rebuild, as text; times, hosts, process ids and lost
  // attempts left out.
  Result<std::string> dump() const;
  // Problems found by PRAGMA integrity_check and by our own rules; empty = sound.
  Result<std::vector<std::string>> check() const;

 protected:
  Reader(Layout layout, std::unique_ptr<Database> database);
  Layout layout_;
  std::unique_ptr<Database> database_;
};

// Adds fits to the store, also while `ration run` is on. The document is written to
// fits/<digest>.json first, so that a rebuild finds it.
class FitWriter {
 public:
  static Result<FitWriter> open(Files& files, Clock& clock, const Path& folder);
  FitWriter(FitWriter&&) noexcept;
  ~FitWriter();
  Result<std::int64_t> record(const FitRecord& fit);

 private:
  FitWriter(Files& files, Clock& clock, Layout layout, std::unique_ptr<Database> database);
  Files* files_;
  Clock* clock_;
  Layout layout_;
  std::unique_ptr<Database> database_;
};

// Adds evaluations to the store, also while `ration run` is on. They are written to
// evals/<digest>/ first, so that a rebuild finds them. A database of an older schema is brought to
// this program's.
class EvalWriter {
 public:
  static Result<EvalWriter> open(Files& files, Clock& clock, const Path& folder);
  EvalWriter(EvalWriter&&) noexcept;
  ~EvalWriter();
  // The digest, of the weights, their run, the task and settings (store/eval_identity.h): the same
  // evaluation again is the same row. ErrorKind::input: no document of ration.eval/1.
  Result<std::string> record(const EvalRecord& eval);

 private:
  EvalWriter(Files& files, Clock& clock, Layout layout, std::unique_ptr<Database> database);
  Files* files_;
  Clock* clock_;
  Layout layout_;
  std::unique_ptr<Database> database_;
};

}  // namespace ration::store
