#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "store_fixture.h"

namespace ration::store {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Backup : public StoreTest {
 protected:
  // The copy in the place of a store's database.
  Reader restored(const Path& copy) {
    const Path other = folder / "other";
    std::filesystem::create_directories(other);
    std::filesystem::copy_file(copy, Layout{other}.database());
    return Reader::open(real_files(), other).value();
  }
  void execute(const std::string& sql) {
    sqlite3* connection = nullptr;
    ASSERT_EQ(sqlite3_open(Layout{folder.path()}.database().c_str(), &connection), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << message;
    sqlite3_close(connection);
  }
  std::vector<std::string> names() { return real_files().list(folder.path()).value(); }

  run::RunSpec spec = test::small_spec();
};

TEST_F(Backup, IsTheWholeDatabaseInOneFile) {
  Writer writer = open_writer();
  finish(writer, add_sweep(writer, {spec})[0], spec, 2.5);
  ASSERT_TRUE(open_reader().backup(real_files(), folder / "copy.db"));

  EXPECT_EQ(restored(folder / "copy.db").dump().value(), writer.dump().value());
  EXPECT_THAT(names(), testing::Not(testing::Contains(HasSubstr("copy.db-"))));
}

TEST_F(Backup, HoldsNobodysLease) {
  {
    Writer writer = open_writer({.host = "far"});
    add_sweep(writer, {spec});
    ASSERT_TRUE(writer.backup(real_files(), folder / "copy.db"));
  }
  std::filesystem::copy_file(folder / "copy.db",
                             Layout{folder.path()}.database(),
                             std::filesystem::copy_options::overwrite_existing);

  EXPECT_TRUE(Writer::open(real_files(), clock, folder.path(), {.host = "near"}));
}

TEST_F(Backup, ReplacesAnOlderCopyAndWhatAnInterruptedOneLeft) {
  Writer writer = open_writer();
  std::ofstream(folder / "copy.db") << "old";
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  const std::string left = fmt::format("copy.db.{}-{}.part", host_name(), gone);
  const std::string of_another = fmt::format("copy.db.{}-{}.part", host_name(), getppid());
  std::ofstream(folder / left) << "half";
  std::ofstream(folder / of_another) << "half";
  add_sweep(writer, {spec});
  ASSERT_TRUE(writer.backup(real_files(), folder / "copy.db"));

  EXPECT_EQ(restored(folder / "copy.db").dump().value(), writer.dump().value());
  EXPECT_THAT(names(), testing::Not(testing::Contains(left)));
  EXPECT_THAT(names(), testing::Contains(of_another)) << "a living process is at it";
}

TEST_F(Backup, OfADamagedDatabaseIsRefusedAndLeavesNothing) {
  std::vector<run::RunSpec> specs;
  for (int seed = 0; seed < 100; ++seed) specs.push_back(test::small_spec(8, seed));
  { add_sweep(*std::make_unique<Writer>(open_writer()), specs); }
  {
    std::fstream file(Layout{folder.path()}.database(),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8 * 4096);
    file << std::string(4096, 'x');
  }

  const Result<void> done = open_reader().backup(real_files(), folder / "copy.db");

  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().hint, HasSubstr("ration db rebuild"));
  EXPECT_THAT(names(), testing::Not(testing::Contains(testing::StartsWith("copy.db"))));
}

TEST_F(Backup, IntoAFolderThatIsNotThereNamesIt) {
  Writer writer = open_writer();
  const Result<void> done = writer.backup(real_files(), folder / "nowhere/copy.db");

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::resource);
  EXPECT_THAT(done.error().what, HasSubstr("nowhere"));
}

TEST_F(Backup, AVacuumKeepsAllRows) {
  Writer writer = open_writer();
  finish(writer, add_sweep(writer, {spec})[0], spec, 2.5);
  const std::string before = writer.dump().value();
  execute("CREATE TABLE waste(x); INSERT INTO waste VALUES(randomblob(300000)); DROP TABLE waste");

  const VacuumSummary summary = writer.vacuum().value();

  EXPECT_LT(summary.bytes_after + 250'000, summary.bytes_before);
  EXPECT_EQ(writer.dump().value(), before);
  EXPECT_THAT(writer.check().value(), IsEmpty());
}

class Migration : public Backup {
 protected:
  // What the program of schema 1 left, with one finished run.
  void SetUp() override {
    {
      Writer writer = open_writer();
      finish(writer, add_sweep(writer, {spec})[0], spec, 2.5);
      dump = writer.dump().value();
    }
    execute(
        "DROP VIEW v_evals; DROP TABLE eval_token; DROP TABLE eval_choice; DROP TABLE eval_score; "
        "DROP TABLE evals; DROP INDEX runs_by_text; CREATE TABLE run_params(key INT NOT NULL "
        "REFERENCES names, "
        "run INT NOT NULL REFERENCES runs, num REAL, txt TEXT, PRIMARY KEY(key, run)) "
        "WITHOUT ROWID; INSERT INTO run_params VALUES(1, 1, 16, NULL); PRAGMA user_version=1");
  }
  std::string dump;
};

TEST_F(Migration, KeepsAllRowsAndACopyOfTheOldDatabase) {
  Writer writer = open_writer();

  EXPECT_EQ(writer.dump().value(), dump);
  EXPECT_THAT(writer.check().value(), IsEmpty());
  EXPECT_THAT(writer.warnings(), testing::Contains(HasSubstr("from schema 1 to 6")));
  EXPECT_EQ(restored(folder / "ration.db.schema-1").dump().value(), dump);
}

TEST_F(Migration, IsDoneOnce) {
  { Writer writer = open_writer(); }
  Writer writer = open_writer();

  EXPECT_THAT(writer.warnings(), IsEmpty());
}

TEST_F(Migration, IsNotNeededToRead) { EXPECT_EQ(open_reader().dump().value(), dump); }

TEST_F(Migration, MakesWhatANewDatabaseHas) {
  const auto schema = [](const Path& file) {
    sqlite3* connection = nullptr;
    sqlite3_open(file.c_str(), &connection);
    std::vector<std::string> objects;
    sqlite3_exec(
        connection,
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master ORDER BY 1",
        [](void* list, int, char** cells, char**) {
          static_cast<std::vector<std::string>*>(list)->emplace_back(cells[0]);
          return 0;
        },
        &objects,
        nullptr);
    sqlite3_close(connection);
    return objects;
  };
  { Writer writer = open_writer(); }
  const Path fresh = folder / "fresh";
  { Writer writer = Writer::open(real_files(), clock, fresh).value(); }

  EXPECT_THAT(schema(Layout{fresh}.database()), SizeIs(testing::Gt(20U)));
  EXPECT_EQ(schema(Layout{folder.path()}.database()), schema(Layout{fresh}.database()));
}

}  // namespace
}  // namespace ration::store
