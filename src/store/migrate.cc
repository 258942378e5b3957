// From the schema of an older program to this one's.

#include <fmt/format.h>

#include <array>

#include "base/fault.h"
#include "store/backup.h"
#include "store/schema.h"

namespace ration::store {
namespace {

// steps[i] leads from version i + 1 to i + 2. A step that was released is never changed.
constexpr std::array<const char*, kSchemaVersion - 1> kSteps = {
    // Questions about one run by its id no longer read all runs and points.
    "CREATE INDEX runs_by_text ON runs(lower(hex(hash)))",
};

}  // namespace

std::string migrate(Database& database, Files& files) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (version >= kSchemaVersion) return {};
  const Path copy = fmt::format("{}.schema-{}", database.file().string(), version);
  copy_database(database, files, copy);
  fault_point("migrate-after-backup");
  Transaction transaction(database, true);
  for (auto step = static_cast<std::size_t>(version) - 1; step < kSteps.size(); ++step)
    database.execute(kSteps[step]);
  database.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  fault_point("migrate-before-commit");
  transaction.commit();
  return fmt::format("{} was brought from schema {} to {}; {} is as it was before",
                     database.file().string(),
                     version,
                     kSchemaVersion,
                     copy.filename().string());
}

}  // namespace ration::store
