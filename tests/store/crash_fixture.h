#pragma once

// A store under disasters, the commands that fill it, and what must hold whatever happened. A
// process a point, since a kill ends one; the number of operations is counted first.

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <functional>

#include "disaster.h"
#include "store_fixture.h"

namespace ration::store {

// A way to fail, and how many times rarer than the others it is tried: some take the same paths.
struct Mode {
  const char* name;
  Misfortune kind;
  int error = 0;
  int rarity = 1;
};
inline constexpr std::array kModes = {
    Mode{"kill", Misfortune::kill},
    Mode{"torn", Misfortune::torn},
    Mode{"drop", Misfortune::drop},
    Mode{"EIO once", Misfortune::fails, EIO},
    Mode{"EIO from then on", Misfortune::keeps_failing, EIO, 5},
    Mode{"ENOSPC once", Misfortune::fails, ENOSPC, 5},
    Mode{"ENOSPC from then on", Misfortune::keeps_failing, ENOSPC},
    Mode{"EDQUOT once", Misfortune::fails, EDQUOT, 7},
    Mode{"EDQUOT from then on", Misfortune::keeps_failing, EDQUOT, 7},
    Mode{"EINTR once", Misfortune::fails, EINTR, 7},
    Mode{"EINTR from then on", Misfortune::keeps_failing, EINTR, 7},
    Mode{"ESTALE once", Misfortune::fails, ESTALE, 7},
    Mode{"ESTALE from then on", Misfortune::keeps_failing, ESTALE, 7},
    Mode{"stall", Misfortune::stall, 0, 3}};

// Each mode at each `stride`-th of so many operations, or more rarely; the modes begin at different
// ones. Ends at the first failure.
inline void for_each_point(int operations,
                           int stride,
                           const std::function<void(const Mode&, int at)>& point) {
  int points = 0;
  for (std::size_t i = 0; i < kModes.size(); ++i)
    for (int at = 1 + static_cast<int>(i) % stride;
         at <= operations && !testing::Test::HasFailure();
         at += stride * kModes[i].rarity) {
      SCOPED_TRACE(std::string(kModes[i].name) + " at operation " + std::to_string(at));
      point(kModes[i], at);
      ++points;
    }
  testing::Test::RecordProperty("points", points);
  EXPECT_GT(points, 0);
}

// The commands' exit status in a process of their own: 0, 3 with an error, or Disaster::kExit.
inline int in_a_process(const std::function<Result<void>()>& commands) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(commands() ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Replaces `to`.
inline void copy_folder(const Path& from, const Path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

// How far the commands came, as told to whoever gave them. Shared with the process that carries
// them out.
struct Acknowledged {
  int sweeps = 0;
  int begun = 0;   // attempts
  int points = 0;  // that the last ingestion left for the first run
  int ended = 0;   // attempts
  int fits = 0;
  int copies = 0;
  int operations = 0;  // that the commands took, where they came to their end
  int taken_over = 0;  // 1 = another host has taken the store from them
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
  Commands(Files& files, Clock& clock, const Path& folder, Acknowledged& told)
      : files_(files), clock_(clock), folder_(folder), told_(told) {}

  // One run, and no fit, copy or vacuum.
  void be_short() {
    specs_.pop_back();
    short_ = true;
  }
  // Take the store from a host that has been silent.
  void take_over() { options_.take_over = true; }

  Result<void> carry_out() {
    Result<Writer> writer = Writer::open(files_, clock_, folder_, options_);
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
    if (short_) return {};
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
  Clock& clock_;
  Path folder_;
  Acknowledged& told_;
  WriterOptions options_;
  bool short_ = false;
  std::vector<run::RunSpec> specs_ = {test::small_spec(8), test::small_spec(16)};
};

// In memory where there is such a folder: thousands of small stores are made.
inline Path scratch() {
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
    std::filesystem::remove_all(kept());
  }

  // Starts from nothing.
  void clear() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    *told = {};
  }
  // Keeps the store as it is now, and brings it back.
  void keep() { copy_folder(folder, kept()); }
  void bring_back() { copy_folder(kept(), folder); }
  Path kept() const { return folder.string() + "-kept"; }
  Result<void> carry_out() {
    Commands commands(*files, clock, folder, *told);
    if (is_short) commands.be_short();
    if (takes_over) commands.take_over();
    Result<void> done = commands.carry_out();
    told->operations = disaster.count();
    return done;
  }

  // The number of operations of undisturbed commands on a new store.
  int undisturbed() {
    clear();
    disaster.arm(Misfortune::none, 0);
    const Result<void> done = carry_out();
    EXPECT_TRUE(done) << done.error().describe();
    return disaster.count();
  }

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
    EXPECT_THAT(reader->check().value(), testing::IsEmpty());
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

  Path folder = scratch();
  Disaster disaster;
  std::unique_ptr<Files> files;
  Shared told;
  StillClock clock;
  bool is_short = false;  // the commands: see Commands
  bool takes_over = false;
};

}  // namespace ration::store
