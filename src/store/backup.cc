#include "store/backup.h"

#include "base/fault.h"
#include "store/lock.h"
#include "store/writer.h"

namespace ration::store {

void copy_database(const Database& database, Files& files, const Path& file) {
  const Path part = file.string() + ".part";
  const auto clean = [&] {
    for (const char* ending : {"", "-wal", "-shm", "-journal"})
      unwrap(files.remove_all(part.string() + ending));
  };
  clean();  // what an interrupted copy left
  {
    Database copy(part, Access::write, 10);
    database.copy_to(copy);
    // The pages say that there is a write-ahead log; a copy stands alone.
    copy.execute("PRAGMA journal_mode=DELETE; DELETE FROM leases");
  }
  unwrap(files.sync(part));
  fault_point("backup-before-publish");
  unwrap(files.rename(part, file));
}

Result<void> Reader::backup(Files& files, const Path& file) const {
  Result<void> done = guarded([&] { copy_database(*database_, files, file); });
  if (!done) {
    const Result<void> ignored = files.remove_all(file.string() + ".part");
    (void)ignored;
  }
  return done;
}

Result<VacuumSummary> Writer::vacuum() {
  return guarded([&] {
    const Path file = layout_.database();
    lock_->require_lease(*database_);
    database_->execute("PRAGMA wal_checkpoint(TRUNCATE)");
    VacuumSummary summary{.bytes_before = unwrap(files_->size(file))};
    database_->execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    summary.bytes_after = unwrap(files_->size(file));
    return summary;
  });
}

}  // namespace ration::store
