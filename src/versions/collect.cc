#include "versions/collect.h"

#include <filesystem>
#include <unordered_set>

#include "versions/hold.h"

namespace ration::versions {
namespace {

namespace fs = std::filesystem;

double age_of(const Path& path, Clock& clock) {
  std::error_code code;
  const fs::file_time_type written = fs::last_write_time(path, code);
  if (code) return 0;
  const auto since = std::chrono::file_clock::to_sys(written).time_since_epoch();
  return clock.unix_seconds() - std::chrono::duration<double>(since).count();
}

// Objects of the manifests, of those younger than `min_age`, and the parents of all.
Result<std::unordered_set<ObjectId>> needed_by(const ObjectStore& store,
                                               std::span<const Manifest> manifests,
                                               const std::unordered_set<ObjectId>& young) {
  std::unordered_set<ObjectId> needed;
  std::vector<ObjectId> open(young.begin(), young.end());
  for (const Manifest& manifest : manifests)
    for (ObjectId& id : objects_of(manifest)) open.push_back(std::move(id));
  while (!open.empty()) {
    const ObjectId id = std::move(open.back());
    open.pop_back();
    if (!needed.insert(id).second || !store.contains(id)) continue;
    // Nobody knows what a damaged object needs: nothing may be removed.
    Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(id));
    if (!file) return std::move(file).error();
    if (file->info().parent) open.push_back(*file->info().parent);
  }
  return needed;
}

// Files in the folders of objects that are no objects, a day old.
std::vector<Path> leftovers_of(const ObjectStore& store, Clock& clock) {
  constexpr double kDay = 86400;
  std::vector<Path> left;
  std::error_code code;
  for (fs::recursive_directory_iterator entry(store.folder() / "objects", code), end;
       !code && entry != end;
       entry.increment(code)) {
    if (!entry->is_regular_file(code)) continue;
    const Path& path = entry->path();
    if (!object_id_of(path.parent_path().filename().string() + path.filename().string()) &&
        age_of(path, clock) > kDay)
      left.push_back(path);
  }
  return left;
}

}  // namespace

Result<Collected> collect(const ObjectStore& store,
                          const ListManifests& list_needed,
                          Clock& clock,
                          const CollectOptions& options) {
  Result<Hold> hold = Hold::alone(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  const Result<std::vector<Manifest>> manifests = list_needed();
  if (!manifests) return manifests.error();
  Result<std::vector<ObjectId>> ids = store.list();
  if (!ids) return std::move(ids).error();
  std::unordered_set<ObjectId> young;
  for (const ObjectId& id : *ids)
    if (age_of(store.path_of(id), clock) < options.min_age) young.insert(id);
  Result<std::unordered_set<ObjectId>> needed = needed_by(store, *manifests, young);
  if (!needed) return std::move(needed).error();
  Collected collected;
  for (const ObjectId& id : *ids) {
    if (young.contains(id)) {
      ++collected.young;
      continue;
    }
    if (needed->contains(id)) {
      ++collected.needed;
      continue;
    }
    const Path path = store.path_of(id);
    ++collected.removed;
    collected.removed_bytes += store.files().size(path).value_or(0);
    if (!options.remove) continue;
    if (Result<void> done = store.files().remove_all(path); !done) return std::move(done).error();
  }
  for (const Path& path : leftovers_of(store, clock)) {
    ++collected.leftovers;
    if (!options.remove) continue;
    if (Result<void> done = store.files().remove_all(path); !done) return std::move(done).error();
  }
  return collected;
}

}  // namespace ration::versions
