#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "store_fixture.h"
#include "support/failing_files.h"

namespace ration::store {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

using Damage = StoreTest;

TEST_F(Damage, AMissingDatabaseBesideRunFoldersPointsToRebuild) {
  std::filesystem::create_directories(Layout{folder.path()}.runs());

  const auto reader = Reader::open(real_files(), folder.path());

  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.error().hint, HasSubstr("ration db rebuild"));
}

TEST_F(Damage, ALostDatabaseIsNotMadeAnewBesideRunFolders) {
  const run::RunSpec spec = test::small_spec();
  { add_sweep(*std::make_unique<Writer>(open_writer()), {spec}); }
  std::filesystem::create_directories(run_folder(spec).path());
  std::filesystem::remove(Layout{folder.path()}.database());

  const auto writer = Writer::open(real_files(), clock, folder.path());
  const auto fits = FitWriter::open(real_files(), clock, folder.path());

  ASSERT_FALSE(writer);
  EXPECT_EQ(exit_code(writer.error().kind), 2);
  EXPECT_THAT(writer.error().hint, HasSubstr("ration db rebuild"));
  EXPECT_FALSE(fits);
  EXPECT_FALSE(real_files().exists(Layout{folder.path()}.database()));
  EXPECT_TRUE(Writer::open(real_files(), clock, folder.path(), {.rebuild = true}));
}

TEST_F(Damage, ALostDatabaseIsNotMadeAnewBesideJobs) {
  const Path batch = folder / "slurm" / std::string(32, 'a');
  std::filesystem::create_directories(batch);
  std::ofstream(batch / "tasks.jsonl") << "{}\n";

  const auto writer = Writer::open(real_files(), clock, folder.path());

  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().what, HasSubstr("jobs"));
}

TEST_F(Damage, AFolderWithNothingOfARunIsAStoreLikeAny) {
  std::filesystem::create_directories(Layout{folder.path()}.runs() / "lost+found");

  EXPECT_TRUE(Writer::open(real_files(), clock, folder.path()));
}

TEST_F(Damage, ARebuiltDatabaseReplacesTheOldOneWhichIsKept) {
  const run::RunSpec spec = test::small_spec();
  { add_sweep(*std::make_unique<Writer>(open_writer()), {spec}, "old"); }
  {
    Writer writer = open_writer({.rebuild = true});
    add_sweep(writer, {spec}, "new");
    ASSERT_TRUE(writer.publish_rebuilt());
  }

  EXPECT_EQ(open_reader().sweeps().value().at(0).name, "new");
  EXPECT_EQ(open_reader().sweeps().value().size(), 1U);
  const Path other = folder / "other";
  std::filesystem::create_directories(other);
  std::filesystem::rename(folder / "ration.db.before-rebuild", Layout{other}.database());
  EXPECT_EQ(Reader::open(real_files(), other).value().sweeps().value().at(0).name, "old");
}

// What a scheduler that was killed left in its log is in neither place twice.
TEST_F(Damage, TheLogOfTheOldDatabaseIsNotAppliedToTheRebuiltOne) {
  const pid_t child = fork();
  if (child == 0) {
    Writer writer = open_writer();
    add_sweep(writer, {test::small_spec()}, "old");
    std::_Exit(0);  // no destructor runs: as after a kill
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  const Path log = Layout{folder.path()}.database().string() + "-wal";
  ASSERT_GT(real_files().size(log).value(), 0U);

  {
    Writer writer = open_writer({.rebuild = true});
    add_sweep(writer, {test::small_spec()}, "new");
    ASSERT_TRUE(writer.publish_rebuilt());
  }

  EXPECT_EQ(open_reader().sweeps().value().size(), 1U);
  EXPECT_THAT(open_reader().check().value(), IsEmpty());
}

TEST_F(Damage, AKillWhileARebuiltDatabaseIsPublishedLeavesOneOfTheTwo) {
  { add_sweep(*std::make_unique<Writer>(open_writer()), {test::small_spec()}, "old"); }
  for (int operation = 0;; ++operation) {
    ASSERT_LT(operation, 100);
    test::FailingFiles files(real_files(), test::FailingFiles::Mode::killed, operation);
    {
      Result<Writer> writer = Writer::open(files, clock, folder.path(), {.rebuild = true});
      if (writer) {
        const Result<void> ignored = writer->publish_rebuilt();
        (void)ignored;
      }
    }
    const Result<Reader> reader = Reader::open(real_files(), folder.path());
    ASSERT_TRUE(reader) << operation;
    EXPECT_EQ(reader->sweeps().value().empty(), !files.failed()) << operation;
    if (!files.failed()) break;
  }
}

// As after a crash, on a place that was mounted read-only since.
TEST_F(Damage, ALogBesideADatabaseThatCannotBeWrittenIsRead) {
  if (getuid() != 0) GTEST_SKIP() << "needs a second user";
  const pid_t writer = fork();
  if (writer == 0) {
    Writer killed = open_writer();
    add_sweep(killed, {test::small_spec()});
    std::_Exit(0);
  }
  waitpid(writer, nullptr, 0);
  const Path database = Layout{folder.path()}.database();
  std::filesystem::remove(database.string() + "-shm");
  ASSERT_GT(real_files().size(database.string() + "-wal").value(), 0U);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));

  const pid_t reader = fork();
  if (reader == 0) {
    if (setuid(65534) != 0) std::_Exit(2);
    const Result<Reader> store = Reader::open(real_files(), folder.path());
    std::_Exit(store && store->sweeps().value().size() == 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(reader, &status, 0);

  EXPECT_EQ(status, 0);
}

TEST_F(Damage, APathThatIsTooLongForTheDatabaseIsRefusedBeforeAnythingIsMade) {
  Path deep = folder.path();
  while (deep.string().size() < 600) deep /= std::string(100, 'd');

  const auto writer = Writer::open(real_files(), clock, deep);

  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().kind, ErrorKind::usage);
  EXPECT_THAT(writer.error().hint, HasSubstr("shorter"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(Damage, AnEmptyFileIsCalledEmpty) {
  std::ofstream(Layout{folder.path()}.database()).flush();

  const auto reader = Reader::open(real_files(), folder.path());

  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.error().what, HasSubstr("is empty"));
}

TEST_F(Damage, AnOverwrittenHeaderPointsToRebuild) {
  { Writer writer = open_writer(); }
  std::fstream(Layout{folder.path()}.database(), std::ios::in | std::ios::out | std::ios::binary)
      << std::string(100, 'x');

  const auto reader = Reader::open(real_files(), folder.path());

  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().kind, ErrorKind::input);
  EXPECT_THAT(reader.error().hint, HasSubstr("ration db rebuild"));
}

TEST_F(Damage, ADatabaseOfANewerProgramIsRefused) {
  { Writer writer = open_writer(); }
  std::fstream file(Layout{folder.path()}.database(),
                    std::ios::in | std::ios::out | std::ios::binary);
  constexpr int kUserVersion = 60;  // SQLite's file header, four bytes, most significant first
  file.seekp(kUserVersion + 3);
  file.put(99);
  file.close();

  EXPECT_FALSE(Reader::open(real_files(), folder.path()));
  const auto writer = Writer::open(real_files(), clock, folder.path());
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().what, HasSubstr("99"));
}

TEST_F(Damage, AFileSizeLimitEndsInAResourceErrorAndASoundDatabase) {
  std::vector<run::RunSpec> specs;
  for (int i = 0; i < 2000; ++i) specs.push_back(test::small_spec(8, i));
  { add_sweep(*std::make_unique<Writer>(open_writer()), {specs[0]}, "first"); }
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 512 << 10, .rlim_max = 512 << 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    Writer writer = open_writer();
    SweepRecord record{.name = "large", .source = "#"};
    for (const auto& spec : specs)
      record.members.push_back(member_of(spec, static_cast<std::int64_t>(record.members.size())));
    const auto done = writer.register_sweep(record);
    std::_Exit(!done && done.error().kind == ErrorKind::resource ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);

  EXPECT_EQ(status, 0);
  EXPECT_THAT(open_reader().check().value(), IsEmpty());
  EXPECT_EQ(open_reader().runs(std::nullopt).value().size(), 1U);
  Writer writer = open_writer();
  EXPECT_EQ(add_sweep(writer, specs, "large").size(), 2000U);  // once there is room
}

TEST_F(Damage, ASoundDatabaseHasNoProblems) {
  Writer writer = open_writer();
  const run::RunSpec spec = test::small_spec();
  finish(writer, add_sweep(writer, {spec})[0], spec, 2.5);

  EXPECT_THAT(open_reader().check().value(), IsEmpty());
}

TEST_F(Damage, ACheckFindsAnActiveRunWithoutAttempt) {
  Writer writer = open_writer();
  const auto run = add_sweep(writer, {test::small_spec()})[0];
  ASSERT_TRUE(writer.update_run(run, {.state = RunState::active}));

  EXPECT_THAT(open_reader().check().value(), testing::Contains(HasSubstr("active run")));
}

}  // namespace
}  // namespace ration::store
