#include "versions/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <set>

#include "base/parallel.h"
#include "versions/layout.h"

namespace ration::versions {
namespace {

Change change_of(const ManifestTensor* before, const ManifestTensor* after) {
  if (before == nullptr) return Change::added;
  if (after == nullptr) return Change::removed;
  if (before->dtype != after->dtype) return Change::dtype;
  if (before->shape != after->shape) return Change::shape;
  return before->id == after->id ? Change::same : Change::modified;
}

using ByName = std::map<std::string_view, const ManifestTensor*>;

ByName by_name(const Manifest& manifest) {
  ByName names;
  for (const ManifestTensor& tensor : manifest.tensors) names.emplace(tensor.name, &tensor);
  return names;
}

// All tensors of both, by name.
std::vector<TensorChange> pairs_of(const Manifest& before, const Manifest& after) {
  const ByName olds = by_name(before);
  const ByName news = by_name(after);
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : olds) names.insert(name);
  for (const auto& [name, tensor] : news) names.insert(name);
  std::vector<TensorChange> pairs;
  for (const std::string_view name : names) {
    const auto a = olds.find(name);
    const auto b = news.find(name);
    const ManifestTensor* old_tensor = a == olds.end() ? nullptr : a->second;
    const ManifestTensor* new_tensor = b == news.end() ? nullptr : b->second;
    TensorChange pair{.name = std::string(name), .change = change_of(old_tensor, new_tensor)};
    if (old_tensor != nullptr) pair.before = *old_tensor;
    if (new_tensor != nullptr) pair.after = *new_tensor;
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::uint64_t elements(const ManifestTensor& tensor) {
  return tensor.bytes / checkpoint::item_bytes(tensor.dtype);
}

struct Readers {
  ReadBlock before;
  ReadBlock after;
};

Result<Readers> open(const Source& before, const Source& after, const TensorChange& pair) {
  Result<ReadBlock> a = before.tensor(*pair.before);
  if (!a) return std::move(a).error();
  Result<ReadBlock> b = after.tensor(*pair.after);
  if (!b) return std::move(b).error();
  return Readers{std::move(*a), std::move(*b)};
}

Result<Tally> tally_block(const Readers& readers, const ManifestTensor& tensor, std::uint64_t i) {
  std::vector<std::byte> a(bytes_of_block(tensor.bytes, i));
  std::vector<std::byte> b(a.size());
  if (Result<void> done = readers.before(i, a); !done) return std::move(done).error();
  if (Result<void> done = readers.after(i, b); !done) return std::move(done).error();
  return tally(tensor.dtype, a, b);
}

// Sums are of blocks, in their order, whoever made them.
Result<Movement> measure(const Readers& readers, const ManifestTensor& tensor, int threads) {
  Movement movement{.elements = elements(tensor)};
  std::vector<Result<Tally>> parts(block_count(tensor.bytes), Tally{});
  parallel_for(
      parts.size(), threads, [&](std::size_t i) { parts[i] = tally_block(readers, tensor, i); });
  for (const Result<Tally>& part : parts) {
    if (!part) return part.error();
    movement.tally.add(*part);
  }
  Result<std::optional<int>> rank =
      find_rank(layout_of(tensor.dtype, tensor.shape), readers.after, readers.before);
  if (!rank) return std::move(rank).error();
  movement.rank = *rank;
  return movement;
}

// Tensors of fewer blocks are measured beside each other, a thread each; longer ones one after the
// other on all threads.
constexpr std::uint64_t kLongBlocks = 8;

class Measurer {
 public:
  Measurer(const Source& before, const Source& after, Difference& difference)
      : before_(before), after_(after), difference_(difference) {}

  void measure_all(int threads) {
    std::vector<TensorChange*> shorts;
    std::vector<TensorChange*> longs;
    for (TensorChange& pair : difference_.tensors)
      if (pair.change == Change::modified)
        (block_count(pair.after->bytes) < kLongBlocks ? shorts : longs).push_back(&pair);
    parallel_for(shorts.size(), threads, [&](std::size_t i) { measure_one(*shorts[i], 1); });
    for (TensorChange* pair : longs) measure_one(*pair, threads);
    difference_.unread.assign(unread_.begin(), unread_.end());
  }

 private:
  void measure_one(TensorChange& pair, int threads) {
    Result<Readers> readers = open(before_, after_, pair);
    Result<Movement> movement =
        readers ? measure(*readers, *pair.after, threads) : std::move(readers).error();
    if (movement) {
      pair.movement = *movement;
      return;
    }
    const std::lock_guard lock(mutex_);
    unread_.insert(movement.error().what);
  }

  const Source& before_;
  const Source& after_;
  Difference& difference_;
  std::mutex mutex_;
  std::set<std::string> unread_;
};

void compare_metadata(const Source& before, const Source& after, Difference& difference) {
  Result<checkpoint::Metadata> a = before.metadata();
  Result<checkpoint::Metadata> b = after.metadata();
  for (const auto* side : {&a, &b})
    if (!*side) difference.unread.push_back(side->error().what);
  if (!a || !b) return;
  std::set<std::string> keys;
  for (const checkpoint::Metadata* side : {&*a, &*b})
    for (const auto& [key, value] : *side) keys.insert(key);
  for (const std::string& key : keys) {
    const auto x = a->find(key);
    const auto y = b->find(key);
    MetadataChange change{.key = key};
    if (x != a->end()) change.before = x->second;
    if (y != b->end()) change.after = y->second;
    if (change.before != change.after) difference.metadata.push_back(std::move(change));
  }
}

// From large to small; unknown ones last.
double rank_by_movement(const TensorChange& pair) {
  return pair.movement ? pair.movement->relative() : -1;
}

}  // namespace

std::string_view name(Change change) {
  switch (change) {
    case Change::modified:
      return "modified";
    case Change::dtype:
      return "dtype changed";
    case Change::shape:
      return "shape changed";
    case Change::added:
      return "added";
    case Change::removed:
      return "removed";
    case Change::same:
      break;
  }
  return "same";
}

double Movement::changed_share() const {
  return elements == 0 ? 0 : static_cast<double>(tally.changed) / static_cast<double>(elements);
}

double Movement::relative() const {
  if (tally.delta_squares == 0) return 0;
  const double ratio = tally.delta_squares / tally.old_squares;
  // Squares of very large f64 overflow.
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : std::sqrt(ratio);
}

double Movement::cosine() const {
  const double lengths = std::sqrt(tally.old_squares) * std::sqrt(tally.new_squares);
  return lengths > 0 ? std::clamp(tally.products / lengths, -1.0, 1.0) : 0;
}

Difference compare(const Source& before, const Source& after, const CompareOptions& options) {
  const Manifest& a = before.manifest();
  const Manifest& b = after.manifest();
  Difference difference{.tensors = pairs_of(a, b), .bytes_before = a.size, .bytes_after = b.size};
  difference.opaque = a.opaque() || b.opaque();
  difference.file_changed = difference.opaque
                                ? a.opaque() != b.opaque() || a.file != b.file
                                : a.header->id != b.header->id || a.tensors != b.tensors;
  if (!options.numbers) return difference;
  Measurer(before, after, difference).measure_all(options.threads);
  if (!difference.opaque && a.header->id != b.header->id)
    compare_metadata(before, after, difference);
  std::stable_sort(difference.tensors.begin(),
                   difference.tensors.end(),
                   [](const TensorChange& x, const TensorChange& y) {
                     if (x.change != y.change) return x.change < y.change;
                     return rank_by_movement(x) > rank_by_movement(y);
                   });
  return difference;
}

}  // namespace ration::versions
