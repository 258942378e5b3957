#pragma once

// The writing side of the store, for the scheduler alone: one Writer at a time holds the folder,
// and a second one is refused with the holder's name. Every call is one transaction: done or not
// done, whatever is killed.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/process.h"
#include "store/store.h"

namespace ration::store {

class StoreLock;
class Transaction;

struct WriterOptions {
  // Take the store from a host that has been silent for a minute. Off: two schedulers on one store
  // would start every run twice.
  bool take_over = false;
  // This host's name, in locks and attempts.
  std::string host = host_name();
  // Held for seconds only, by a command that brings the store up to date: others wait for it.
  bool passing = false;
  // Build a new database beside the present one, whatever state that is in; publish_rebuilt() puts
  // it in its place. For `ration db rebuild`. Without it a database that is missing beside run
  // folders or jobs is an error.
  bool rebuild = false;
};

// One run of a sweep, as registered.
struct Member {
  std::string id;  // run-id
  run::RunSpec spec;
  run::Execution execution;
  std::int64_t ordinal = 0;  // place in the sweep's file
  std::int64_t priority = 0;
  std::string tags = "{}";  // JSON object: the values on the sweep's axes
};

struct SweepRecord {
  std::string name;
  std::string file;             // as given on the command line
  std::string source;           // its text
  std::vector<Member> members;  // distinct ids and ordinals
  double used = 0;              // UNIX seconds; 0 = now
};

// First 12 hex digits of the digest of text and run-ids: what tells versions of a sweep apart.
std::string sweep_version(const SweepRecord& sweep);

// An attempt that is about to be started.
struct NewAttempt {
  std::int64_t run = 0;  // id in the database
  int number = 0;
  std::string token;  // 32 hex digits, of this attempt alone
};

// Where an attempt was started.
struct PlacedAttempt {
  std::int64_t attempt = 0;
  std::string host;
  ProcessId process;
};

// What run.json holds, as canonical texts.
struct SettingsText {
  std::string id;  // run-id
  std::string spec;
  std::string execution;
};

// How a run goes on after something happened to it.
struct RunUpdate {
  RunState state = RunState::ready;
  std::string reason = {};
  double not_before = 0;  // UNIX seconds
};

struct AttemptEnding {
  AttemptState state = AttemptState::failed;
  FailureClass failure = FailureClass::none;
  std::optional<int> exit_code = {};
  double ended = 0;  // UNIX seconds
};

struct IngestSummary {
  std::int64_t events = 0;
  std::int64_t damaged = 0;  // lines skipped in this call
  bool more = false;         // a log had more than one call takes
};

struct VacuumSummary {
  std::uint64_t bytes_before = 0;  // of the database's file
  std::uint64_t bytes_after = 0;
};

class Writer : public Reader {
 public:
  // Creates folder and database where missing.
  static Result<Writer> open(Files& files,
                             Clock& clock,
                             const Path& folder,
                             const WriterOptions& options = {});
  Writer(Writer&&) noexcept;
  ~Writer();

  const std::vector<std::string>& warnings() const { return warnings_; }

  // Writes sweeps/<name>-<version>.{toml,json}, then the rows of sweep and runs. Runs that are
  // known keep their state; their execution settings are replaced.
  Result<SweepRow> register_sweep(const SweepRecord& sweep);

  // Records attempts before anything is started for them, all or none; their runs become active. On
  // the disk when it returns, unless `durable` is off: for attempts that cannot outlive this
  // machine. A forgotten submission would be a second copy of the run. Ids in the order given.
  Result<std::vector<std::int64_t>> begin_attempts(std::span<const NewAttempt> attempts,
                                                   bool durable = true);
  Result<std::int64_t> begin_attempt(std::int64_t run, int number, std::string_view token);
  // Takes back attempts that were recorded and then not started, anywhere: nothing remains of them,
  // and their runs are ready.
  Result<void> withdraw_attempts(std::span<const std::int64_t> attempts, const std::string& reason);
  Result<void> place_attempts(std::span<const PlacedAttempt> attempts);
  // In the order of `runs`, ids in the database.
  Result<std::vector<SettingsText>> settings(std::span<const std::int64_t> runs) const;
  // Takes what is new in the attempts' logs: rows and offsets in one transaction.
  Result<IngestSummary> ingest(std::span<const std::int64_t> attempts);
  // Ends an attempt and says how its run goes on. With a result, the run's losses are set from it.
  // `durable` as for begin_attempts(): the run's folder tells the same.
  Result<void> end_attempt(std::int64_t attempt,
                           const AttemptEnding& ending,
                           const RunUpdate& update,
                           const std::optional<Json>& result,
                           bool durable = true);
  Result<void> update_run(std::int64_t run, const RunUpdate& update);
  // The same for many at once.
  Result<void> update_runs(std::span<const std::int64_t> runs, const RunUpdate& update);
  // Adds a result that some attempt published before its end was seen.
  Result<void> set_result(std::int64_t run, const Json& result, const RunUpdate& update);
  Result<void> note(std::int64_t run,
                    std::optional<std::int64_t> attempt,
                    std::string_view what,
                    std::string_view detail);
  // With `durable`, all that was written before is on the disk when it returns.
  Result<void> renew_lease(bool durable = false);
  // Gives back the space of what was deleted or moved. Needs as much free space as the database
  // takes, for its time.
  Result<VacuumSummary> vacuum();

  // For rebuilding: runs that no sweep asks for, attempts, fits and evaluations, as their files
  // tell.
  Result<std::int64_t> add_run(const Member& member);
  Result<std::int64_t> add_attempt(const AttemptRow& attempt);
  Result<void> add_fit(const FitRecord& fit, double created);
  Result<void> add_eval(const EvalRecord& eval, double created);
  // Replaces the store's database by the one that was built, and keeps the old one as
  // ration.db.before-rebuild; the writer is of no use afterwards, but holds the store until it
  // goes.
  Result<void> publish_rebuilt();
  // Removes what was built so far; the writer is of no use afterwards.
  void give_up_rebuilt();

 private:
  Writer(Layout layout,
         std::unique_ptr<Database> database,
         Files& files,
         Clock& clock,
         std::unique_ptr<StoreLock> lock);
  // One transaction around `body`, in which the lease is still ours; in a rebuild, which is one
  // transaction, just `body`.
  template <class Body>
  Result<std::invoke_result_t<Body>> write(Body body, bool durable = false);
  std::int64_t name_id(const std::string& name);
  void add_members(std::int64_t sweep, const SweepRecord& record);
  void set_run(std::int64_t run, const RunUpdate& update);
  void set_result_columns(std::int64_t run, const Json& result);
  void ingest_one(std::int64_t attempt, IngestSummary& summary);

  Files* files_;
  Clock* clock_;
  std::unique_ptr<StoreLock> lock_;
  std::unique_ptr<Transaction> rebuild_;                    // null unless WriterOptions::rebuild
  std::map<std::string, std::int64_t, std::less<>> names_;  // what the table `names` holds
  std::vector<std::string> warnings_;
};

// Reads the file that register_sweep wrote, sweeps/<name>-<version>.json with its .toml.
Result<SweepRecord> read_sweep_record(Files& files, const Path& membership_file);
// Reads what FitWriter wrote.
Result<StoredFit> read_fit_record(Files& files, const Path& file);
struct StoredEval {
  double created = 0;  // UNIX seconds
  EvalRecord eval;
};
// Reads what EvalWriter wrote into a folder.
Result<StoredEval> read_eval_record(Files& files, const Path& folder);

}  // namespace ration::store
