#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "versions/collect.h"

namespace ration::versions {
namespace {

// Why an object is bad; empty for a good one.
std::string fault_of(const ObjectStore& store, const ObjectId& id) {
  const Result<ObjectReader> reader = store.open(id);
  if (!reader) return reader.error().what;
  const Result<ObjectId> digest = reader->digest();
  if (!digest) return digest.error().what;
  return *digest == id ? std::string() : "its bytes have the digest " + digest->hex;
}

bool builds_on_itself(const ObjectStore& store, const ObjectId& id) {
  std::optional<ObjectId> next = id;
  for (int depth = 0; next && depth <= kDeepestChain; ++depth) {
    const Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(*next));
    next = file ? file->info().parent : std::nullopt;
    if (next == id) return true;
  }
  return false;
}

// Whether the file of a bad object is bad; `is_bad` tells of others.
template <class IsBad>
bool bad_itself(const ObjectStore& store, const ObjectId& id, const IsBad& is_bad) {
  const Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(id));
  if (!file || !file->intact()) return true;
  const std::optional<ObjectId>& parent = file->info().parent;
  if (!parent || (store.contains(*parent) && !is_bad(*parent))) return true;
  return builds_on_itself(store, id);
}

}  // namespace

Result<std::vector<BadObject>> check_objects(const ObjectStore& store,
                                             int threads,
                                             const CountProgress& progress) {
  Result<std::vector<ObjectId>> ids = store.list();
  if (!ids) return std::move(ids).error();
  std::vector<std::string> faults(ids->size());
  std::mutex mutex;
  std::uint64_t done = 0;
  parallel_for(ids->size(), threads, [&](std::size_t i) {
    faults[i] = fault_of(store, (*ids)[i]);
    const std::lock_guard lock(mutex);
    if (progress) progress(++done, ids->size());
  });
  std::vector<BadObject> bad;
  for (std::size_t i = 0; i < faults.size(); ++i)
    if (!faults[i].empty()) bad.push_back({.id = (*ids)[i], .reason = std::move(faults[i])});
  const auto is_bad = [&](const ObjectId& id) {
    return std::any_of(bad.begin(), bad.end(), [&](const BadObject& b) { return b.id == id; });
  };
  for (BadObject& object : bad) object.itself = bad_itself(store, object.id, is_bad);
  return bad;
}

Result<StoreStatistics> statistics(const ObjectStore& store) {
  Result<std::vector<ObjectId>> ids = store.list();
  if (!ids) return std::move(ids).error();
  StoreStatistics sum;
  for (const ObjectId& id : *ids) {
    ++sum.objects;
    const Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(id));
    if (!file) {
      ++sum.damaged;
      continue;
    }
    const ObjectInfo& info = file->info();
    sum.bytes += file->size();
    sum.logical_bytes += info.layout.bytes;
    if (info.parent) {
      ++sum.deltas;
      sum.delta_bytes += file->size();
      sum.factored += info.rank > 0 ? 1 : 0;
    } else {
      ++sum.full;
    }
    sum.deepest = std::max(sum.deepest, info.depth);
  }
  return sum;
}

}  // namespace ration::versions
