// Every operation of bringing an older store to this program's schema, and each misfortune at it.

#include <sqlite3.h>

#include "crash_fixture.h"
#include "store/schema.h"

namespace ration::store {
namespace {

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
    Result<Writer> writer = Writer::open(*files, clock, folder);
    return writer ? Result<void>() : std::move(writer).error();
  }
};

void CrashOfMigration::enumerate_migration(int stride) {
  undisturbed();
  const std::string expected = dump();
  execute(
      "DROP VIEW v_evals; DROP TABLE eval_token; DROP TABLE eval_choice; DROP TABLE eval_score; "
      "DROP TABLE evals; DROP INDEX runs_by_text; CREATE TABLE run_params(key INT NOT NULL "
      "REFERENCES names, "
      "run INT NOT NULL REFERENCES runs, num REAL, txt TEXT, PRIMARY KEY(key, run)) "
      "WITHOUT ROWID; INSERT INTO run_params VALUES(1, 1, 16, NULL); PRAGMA user_version=1; "
      "PRAGMA journal_mode=DELETE");
  const Path old = folder / "old.db";
  std::filesystem::copy_file(Layout{folder}.database(), old);
  disaster.arm(Misfortune::none, 0);
  ASSERT_TRUE(migrate());
  const int operations = disaster.count();
  ASSERT_GT(operations, 10);
  for_each_point(operations, stride, [&](const Mode& mode, int at) {
    for (const char* ending : {"", "-wal", "-shm", ".schema-1", ".schema-1.part"})
      std::filesystem::remove(Layout{folder}.database().string() + ending);
    std::filesystem::copy_file(old, Layout{folder}.database());
    disaster.arm(mode.kind, at, mode.error);
    in_a_process([&] { return migrate(); });
    disaster.arm(Misfortune::none, 0);
    EXPECT_EQ(dump(), expected);
    EXPECT_THAT(Reader::open(real_files(), folder).value().check().value(), testing::IsEmpty());
    if (version() == kSchemaVersion) {
      EXPECT_TRUE(real_files().exists(folder / "ration.db.schema-1"));
    }

    ASSERT_TRUE(migrate());

    EXPECT_EQ(version(), kSchemaVersion);
    EXPECT_EQ(dump(), expected);
    expect_no_remains();
  });
}

TEST_F(CrashOfMigration, LeavesTheOldDatabaseOrTheNewOne) { enumerate_migration(11); }

// Every operation: slow.
class CrashOfWholeMigration : public CrashOfMigration {};

TEST_F(CrashOfWholeMigration, LeavesTheOldDatabaseOrTheNewOne) { enumerate_migration(1); }

}  // namespace
}  // namespace ration::store
