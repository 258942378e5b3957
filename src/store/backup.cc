#include "store/backup.h"

#include <fmt/format.h>

#include "base/fault.h"
#include "base/part_file.h"
#include "store/lock.h"
#include "store/place.h"
#include "store/writer.h"

namespace ration::store {

namespace {

// A copy of a damaged database is no help to anybody.
void require_sound(const Database& copy, const Path& original) {
  Statement rows = copy.prepare("PRAGMA quick_check(1)");
  if (rows.step() && rows.text(0) == "ok") return;
  throw Failure{Error{.kind = ErrorKind::input,
                      .what = fmt::format("{} is damaged: {}", original.string(), rows.text(0)),
                      .hint = "`ration db rebuild` makes it again from the run folders"}};
}

}  // namespace

void copy_database(const Database& database, Files& files, const Path& file) {
  const Path part = part_beside(files, file);
  remove_database(files, part);
  try {
    {
      Database copy(part, Access::write, 10);
      database.copy_to(copy);
      require_sound(copy, database.file());
      // The pages say that there is a write-ahead log; a copy stands alone.
      copy.execute("PRAGMA journal_mode=DELETE; DELETE FROM leases");
    }
    unwrap(files.sync(part));
    fault_point("backup-before-publish");
    unwrap(files.rename(part, file));
  } catch (const Failure&) {
    const Result<void> ignored = guarded([&] { remove_database(files, part); });
    throw;
  }
}

Result<void> Reader::backup(Files& files, const Path& file) const {
  return guarded([&] { copy_database(*database_, files, file); });
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
