#include "store/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/fault.h"
#include "run/run_id.h"
#include "store/database.h"
#include "store/schema.h"

namespace ration::store {
namespace {

constexpr std::array kLogs = {"-wal", "-shm", "-journal"};
constexpr const char* kKept = ".before-rebuild";

bool any_run(Files& files, const Path& runs) {
  if (!files.exists(runs)) return false;
  const std::vector<std::string> names = unwrap(files.list(runs));
  return std::any_of(names.begin(), names.end(), run::is_run_id);
}

// Attempts that are, or may be, in a cluster's queue (scheduler/slurm/batch.h).
bool any_job(Files& files, const Path& batches) {
  if (!files.exists(batches)) return false;
  const std::vector<std::string> names = unwrap(files.list(batches));
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return files.exists(batches / name / "tasks.jsonl");
  });
}

// Under a second name, so that the first is never missing; as a copy where files have one name.
void keep_old(Files& files, const Path& file) {
  const Result<void> ignored = guarded([&] {
    Database old(file, Access::write, 1);
    old.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE");
  });
  const Path kept = file.string() + kKept;
  remove_database(files, kept);
  std::error_code code;
  std::filesystem::create_hard_link(file, kept, code);
  if (code) std::filesystem::copy_file(file, kept, code);
  if (code) throw Failure{system_error("create", kept, code.value())};
}

}  // namespace

void remove_database(Files& files, const Path& file) {
  unwrap(files.remove_all(file));
  for (const char* ending : kLogs) unwrap(files.remove_all(file.string() + ending));
}

void make_database(Files& files, const Path& file) {
  const Path fresh = file.string() + ".new";
  remove_database(files, fresh);
  try {
    Database database(fresh, Access::write, 10);
    ensure_schema(database);
  } catch (const Failure&) {
    const Result<void> ignored = guarded([&] { remove_database(files, fresh); });
    throw;
  }
  unwrap(files.rename(fresh, file));
}

void refuse_lost(Files& files, const Layout& layout) {
  if (files.exists(layout.database())) return;
  const bool runs = any_run(files, layout.runs());
  if (!runs && !any_job(files, layout.folder / "slurm")) return;
  throw Failure{Error{.kind = ErrorKind::input,
                      .what = fmt::format("{} is missing, but its {} are there",
                                          layout.database().string(),
                                          runs ? "run folders" : "jobs"),
                      .hint = "`ration db rebuild` makes it again from them; then repeat the "
                              "command"}};
}

Result<void> require_short_path(const Layout& layout) {
  constexpr std::size_t kLongest = 511;  // bytes
  const std::size_t longest = std::filesystem::absolute(layout.database()).string().size() +
                              std::string_view(".before-rebuild-journal").size();
  if (longest <= kLongest) return {};
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("the path of {} has {} bytes too many for SQLite",
                                   layout.folder.string(),
                                   longest - kLongest),
               .hint = "use a store with a shorter path"};
}

void replace_database(Files& files, const Path& built, const Path& file) {
  if (files.exists(file)) keep_old(files, file);
  // A log belongs to the old file, and must not be applied to the new one.
  for (const char* ending : kLogs) {
    const Path log = file.string() + ending;
    if (files.exists(log)) unwrap(files.rename(log, file.string() + kKept + ending));
  }
  fault_point("rebuild-old-kept");
  unwrap(files.rename(built, file));
}

}  // namespace ration::store
