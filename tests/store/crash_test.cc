// Every operation on files that a store makes, and each misfortune at it: what was acknowledged is
// there afterwards, and the same commands lead to the same end. A process a point, since a kill
// ends one; the number of operations is counted first.

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "disaster.h"
#include "store/schema.h"
#include "store_fixture.h"

namespace ration::store {
namespace {

using testing::IsEmpty;

constexpr std::array kMisfortunes = {
    Misfortune::kill, Misfortune::torn, Misfortune::drop, Misfortune::io_error, Misfortune::full};
constexpr std::array kNames = {"kill", "torn", "drop", "io_error", "full"};

// How far the commands came, as told to whoever gave them. Shared with the process that carries
// them out.
struct Acknowledged {
  int sweeps = 0;
  int begun = 0;   // attempts
  int points = 0;  // that the last ingestion left for the first run
  int ended = 0;   // attempts
  int fits = 0;
  int copies = 0;
};

class Shared {
 public:
  Shared()
      : memory_(mmap(nullptr,
                     sizeof(Acknowledged),
                     PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS,
                     -1,
                     0)) {}
  ~Shared() { munmap(memory_, sizeof(Acknowledged)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  Acknowledged& operator*() const { return *static_cast<Acknowledged*>(memory_); }
  Acknowledged* operator->() const { return &**this; }

 private:
  void* memory_;
};

// A small scheduler: what a store is asked to do from its making to a copy of it, from wherever an
// earlier call stopped.
class Commands {
 public:
  Commands(Files& files, const Path& folder, Acknowledged& told)
      : files_(files), folder_(folder), told_(told) {}

  Result<void> carry_out() {
    Result<Writer> writer = Writer::open(files_, clock_, folder_);
    if (!writer) return std::move(writer).error();
    SweepRecord sweep{.name = "tiny", .file = "/tiny.toml", .source = "# tiny\n"};
    for (const run::RunSpec& spec : specs_)
      sweep.members.push_back(member_of(spec, static_cast<std::int64_t>(sweep.members.size())));
    Result<SweepRow> row = writer->register_sweep(sweep);
    if (!row) return std::move(row).error();
    told_.sweeps = 1;
    Result<std::vector<RunRow>> rows = writer->runs(row->id);
    if (!rows) return std::move(rows).error();
    for (std::size_t i = 0; i < specs_.size(); ++i)
      if (Result<void> done = train(*writer, (*rows)[i], specs_[i]); !done) return done;
    if (Result<void> done = fit(); !done) return done;
    if (Result<void> done = writer->backup(files_, folder_ / "copy.db"); !done) return done;
    told_.copies = 1;
    Result<VacuumSummary> vacuumed = writer->vacuum();
    if (!vacuumed) return std::move(vacuumed).error();
    return {};
  }

 private:
  Result<void> train(Writer& writer, const RunRow& row, const run::RunSpec& spec) {
    if (settled(row.state)) return {};
    Result<std::vector<AttemptRow>> attempts = writer.attempts(row.id);
    if (!attempts) return std::move(attempts).error();
    Result<std::int64_t> attempt = attempts->empty()
                                       ? writer.begin_attempt(row.id, 1, run::run_id(spec))
                                       : Result<std::int64_t>(attempts->front().id);
    if (!attempt) return std::move(attempt).error();
    told_.begun = std::max(told_.begun, static_cast<int>(row.ordinal) + 1);
    for (const int steps : {2, 5}) {
      work(spec, steps);
      Result<IngestSummary> taken = writer.ingest({&*attempt, 1});
      if (!taken) return std::move(taken).error();
      if (row.ordinal == 0) told_.points = std::max(told_.points, steps);
    }
    Result<void> done = writer.end_attempt(*attempt,
                                           {.state = AttemptState::succeeded, .exit_code = 0},
                                           {.state = RunState::done},
                                           test::result_of(spec, 1, 2.5));
    if (done) told_.ended = std::max(told_.ended, static_cast<int>(row.ordinal) + 1);
    return done;
  }

  // The worker's log up to a step. Workers have a crash test of their own.
  void work(const run::RunSpec& spec, int steps) const {
    const run::RunFolder run(real_files(), Layout{folder_}.run(run::run_id(spec)));
    std::string log;
    for (int step = 0; step <= steps; ++step) {
      run::Event event =
          step == 0 ? test::start_event(run::run_id(spec)) : test::train_event(step, 9.0 - step);
      event.seq = step;
      log += run::encode(event);
    }
    std::filesystem::create_directories(run.attempt_path(1));
    const Path file = run.events_path(1);
    if (real_files().size(file).value_or(0) < log.size())
      std::ofstream(file, std::ios::binary) << log;
  }

  Result<void> fit() {
    Result<FitWriter> fits = FitWriter::open(files_, clock_, folder_);
    if (!fits) return std::move(fits).error();
    FitRecord fit{.law = "chinchilla", .query = "tiny", .status = "converged", .loss = 0.5};
    fit.document = {{"alpha", 0.34}};
    fit.runs = {run::run_id(specs_[0])};
    Result<std::int64_t> id = fits->record(fit);
    if (!id) return std::move(id).error();
    told_.fits = 1;
    return {};
  }

  Files& files_;
  Path folder_;
  Acknowledged& told_;
  StillClock clock_;
  std::vector<run::RunSpec> specs_ = {test::small_spec(8), test::small_spec(16)};
};

// In memory where there is such a folder: thousands of small stores are made.
Path scratch() {
  const Path memory = "/dev/shm";
  std::string name =
      ((std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
       "ration-crash-XXXXXX")
          .string();
  return mkdtemp(name.data());
}

class Crash : public testing::Test {
 protected:
  Crash() {
    put_sqlite_under(disaster);
    files = files_under(disaster);
  }
  ~Crash() override {
    disaster.arm(Misfortune::none, 0);
    std::filesystem::remove_all(folder);
  }

  // Starts from nothing.
  void clear() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    *told = {};
  }
  // The commands' exit status in a process of their own: 0, 3 with an error, or Disaster::kExit.
  int in_a_process(const std::function<Result<void>()>& commands) {
    const pid_t child = fork();
    if (child == 0) _exit(commands() ? 0 : 3);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  Result<void> carry_out() { return Commands(*files, folder, *told).carry_out(); }

  std::string dump() { return Reader::open(real_files(), folder).value().dump().value(); }

  // What must hold whatever happened, with all that was acknowledged before.
  void expect_sound(bool power_was_lost) {
    const Acknowledged& known = *told;
    const Result<Reader> reader = Reader::open(real_files(), folder);
    if (!reader) {
      EXPECT_FALSE(real_files().exists(Layout{folder}.database())) << reader.error().describe();
      EXPECT_EQ(known.sweeps, 0) << "the database is gone";
      return;
    }
    EXPECT_THAT(reader->check().value(), IsEmpty());
    EXPECT_GE(reader->sweeps().value().size(), static_cast<std::size_t>(known.sweeps));
    const std::vector<RunRow> rows = reader->runs(std::nullopt).value();
    int begun = 0;
    int done = 0;
    for (const RunRow& row : rows) {
      const std::size_t attempts = reader->attempts(row.id).value().size();
      EXPECT_LE(attempts, 1U);
      EXPECT_EQ(row.state == RunState::ready, attempts == 0) << name(row.state);
      begun += attempts > 0 ? 1 : 0;
      done += row.state == RunState::done ? 1 : 0;
    }
    EXPECT_GE(begun, known.begun);
    EXPECT_GE(done, known.ended);
    EXPECT_LE(done, begun);
    // The last rows of a log are in the database until the power fails; they are still in the log.
    if (!power_was_lost) {
      EXPECT_GE(losses(*reader, rows), known.points);
      EXPECT_GE(reader->newest_fit().value().has_value() ? 1 : 0, known.fits);
    }
    if (known.copies > 0) {
      EXPECT_TRUE(real_files().exists(folder / "copy.db"));
    }
  }
  // Points of the first run's training loss.
  static int losses(const Reader& reader, const std::vector<RunRow>& rows) {
    int count = 0;
    if (rows.empty()) return count;
    const std::vector<MetricPoint> all = reader.metrics(rows.front().id).value();
    for (const MetricPoint& point : all) count += point.name == "train/loss" ? 1 : 0;
    return count;
  }
  void expect_no_remains() {
    const std::vector<std::string> names = real_files().list(folder).value();
    for (const std::string& name : names)
      for (const char* ending : {".new", ".part", "-journal"})
        EXPECT_FALSE(name.ends_with(ending)) << name;
  }

  // Each `stride`-th operation of the commands under each misfortune.
  void enumerate(int stride) {
    clear();
    disaster.arm(Misfortune::none, 0);
    const Result<void> undisturbed = carry_out();
    ASSERT_TRUE(undisturbed) << undisturbed.error().describe();
    const int operations = disaster.count();
    const std::string expected = dump();
    ASSERT_GT(operations, 100);
    for (std::size_t kind = 0; kind < kMisfortunes.size(); ++kind)
      for (int at = 1 + static_cast<int>(kind) % stride; at <= operations && !HasFailure();
           at += stride) {
        SCOPED_TRACE(std::string(kNames[kind]) + " at operation " + std::to_string(at));
        clear();
        disaster.arm(kMisfortunes[kind], at);
        const int status = in_a_process([&] { return carry_out(); });
        disaster.arm(Misfortune::none, 0);
        EXPECT_THAT(status, testing::AnyOf(0, 3, Disaster::kExit));
        expect_sound(kMisfortunes[kind] == Misfortune::drop);

        const Result<void> repeated = carry_out();

        ASSERT_TRUE(repeated) << repeated.error().describe();
        EXPECT_EQ(dump(), expected);
        expect_sound(false);
        expect_no_remains();
        ++points;
      }
    RecordProperty("points", points);
    EXPECT_GT(points, 0);
  }

  Path folder = scratch();
  Disaster disaster;
  std::unique_ptr<Files> files;
  Shared told;
  int points = 0;
};

TEST_F(Crash, ASampleOfOperationsLosesNothingAcknowledged) { enumerate(47); }

TEST_F(Crash, WithoutSharedMemoryTheJournalIsAPlainOneAndThatIsSaid) {
  disaster.no_shared_memory = true;
  clear();
  StillClock clock;
  {
    Writer writer = Writer::open(*files, clock, folder).value();
    EXPECT_THAT(writer.warnings(), testing::Contains(testing::HasSubstr("without shared memory")));
  }
  const Result<void> done = carry_out();
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_FALSE(real_files().exists(Layout{folder}.database().string() + "-wal"));
}

TEST_F(Crash, WithoutSharedMemoryNothingAcknowledgedIsLostEither) {
  disaster.no_shared_memory = true;
  enumerate(97);
}

class CrashOfMigration : public Crash {
 protected:
  void execute(const std::string& sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(Layout{folder}.database().c_str(), &connection), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(connection);
  }
  std::int64_t version() {
    sqlite3* connection = nullptr;
    sqlite3_open(Layout{folder}.database().c_str(), &connection);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(connection, "PRAGMA user_version", -1, &statement, nullptr);
    sqlite3_step(statement);
    const std::int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(connection);
    return value;
  }
  // Each `stride`-th operation of bringing a store of schema 1 to this program's.
  void enumerate_migration(int stride);
  Result<void> migrate() {
    StillClock clock;
    Result<Writer> writer = Writer::open(*files, clock, folder);
    return writer ? Result<void>() : std::move(writer).error();
  }
};

void CrashOfMigration::enumerate_migration(int stride) {
  clear();
  ASSERT_TRUE(carry_out());
  const std::string expected = dump();
  execute(
      "DROP INDEX runs_by_text; CREATE TABLE run_params(key INT NOT NULL REFERENCES names, "
      "run INT NOT NULL REFERENCES runs, num REAL, txt TEXT, PRIMARY KEY(key, run)) "
      "WITHOUT ROWID; INSERT INTO run_params VALUES(1, 1, 16, NULL); PRAGMA user_version=1; "
      "PRAGMA journal_mode=DELETE");
  const Path old = folder / "old.db";
  std::filesystem::copy_file(Layout{folder}.database(), old);
  disaster.arm(Misfortune::none, 0);
  ASSERT_TRUE(migrate());
  const int operations = disaster.count();
  ASSERT_GT(operations, 10);
  for (std::size_t kind = 0; kind < kMisfortunes.size(); ++kind)
    for (int at = 1 + static_cast<int>(kind) % stride; at <= operations && !HasFailure();
         at += stride) {
      SCOPED_TRACE(std::string(kNames[kind]) + " at operation " + std::to_string(at));
      for (const char* ending : {"", "-wal", "-shm", ".schema-1", ".schema-1.part"})
        std::filesystem::remove(Layout{folder}.database().string() + ending);
      std::filesystem::copy_file(old, Layout{folder}.database());
      disaster.arm(kMisfortunes[kind], at);
      in_a_process([&] { return migrate(); });
      disaster.arm(Misfortune::none, 0);
      EXPECT_EQ(dump(), expected);
      EXPECT_THAT(Reader::open(real_files(), folder).value().check().value(), IsEmpty());
      if (version() == kSchemaVersion) {
        EXPECT_TRUE(real_files().exists(folder / "ration.db.schema-1"));
      }

      ASSERT_TRUE(migrate());

      EXPECT_EQ(version(), kSchemaVersion);
      EXPECT_EQ(dump(), expected);
      expect_no_remains();
    }
}

TEST_F(CrashOfMigration, LeavesTheOldDatabaseOrTheNewOne) { enumerate_migration(11); }

// Every operation: slow.
using CrashWhole = CrashOfMigration;

TEST_F(CrashWhole, NoOperationLosesAnythingAcknowledged) { enumerate(1); }
TEST_F(CrashWhole, NoOperationLosesAnythingWithoutSharedMemory) {
  disaster.no_shared_memory = true;
  enumerate(1);
}
TEST_F(CrashWhole, NoOperationOfAMigrationLosesTheDatabase) { enumerate_migration(1); }

}  // namespace
}  // namespace ration::store
