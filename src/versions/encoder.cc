#include "versions/encoder.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"

namespace ration::versions {
namespace {

// A delta makes reading slower: it must save a tenth.
constexpr double kWorthwhile = 0.9;
// Blocks encoded before they are written, for each thread.
constexpr std::size_t kAhead = 4;

struct Parent {
  ObjectId id;
  ObjectReader reader;
  std::optional<Factor> factor;
};

std::span<const std::byte> block_of(const Content& content, std::uint64_t index) {
  return content.bytes.subspan(index * kBlockBytes, bytes_of_block(content.bytes.size(), index));
}

// What block `index` is predicted to be.
Result<void> predict(const Parent& parent,
                     const Layout& layout,
                     std::uint64_t index,
                     std::span<std::byte> block) {
  Result<void> done = parent.reader.block(index, block);
  if (done && parent.factor)
    add_factor(*parent.factor, layout, index * kBlockBytes / layout.item_bytes, block);
  return done;
}

// Estimated bytes of two blocks, the middle one and the first; beside those without a parent.
struct Estimate {
  double alone = 0;
  double delta = 0;
};

Result<Estimate> estimate(const Content& content, const Parent* parent) {
  const std::uint64_t middle = block_count(content.bytes.size()) / 2;
  Estimate sum;
  Bytes prediction;
  for (const std::uint64_t index : {middle, std::uint64_t{0}}) {
    const std::span<const std::byte> plain = block_of(content, index);
    sum.alone += estimated_block_bytes(plain, {}, content.layout.item_bytes);
    if (parent != nullptr) {
      prediction.resize(plain.size());
      Result<void> done = predict(*parent, content.layout, index, prediction);
      if (!done) return std::move(done).error();
      sum.delta += estimated_block_bytes(plain, prediction, content.layout.item_bytes);
    }
    if (middle == 0) break;
  }
  return sum;
}

bool may_grow(const ObjectReader& reader, const Content& content, const StoreLimits& limits) {
  return reader.layout().bytes == content.layout.bytes &&
         reader.layout().item_bytes == content.layout.item_bytes && reader.depth() < limits.depth &&
         static_cast<double>(reader.chain_bytes()) <
             limits.chain * static_cast<double>(content.layout.bytes);
}

// A relative that cannot be read costs size only, and fsck tells of it.
std::optional<Parent> best_relative(const ObjectStore& store,
                                    const Content& content,
                                    const StoreLimits& limits) {
  std::optional<Parent> best;
  double best_bytes = 0;
  for (const ObjectId& id : content.relatives) {
    if (id == content.id || !store.contains(id)) continue;
    Result<ObjectReader> reader = store.open(id);
    if (!reader || !may_grow(*reader, content, limits)) continue;
    Parent candidate{.id = id, .reader = std::move(*reader), .factor = std::nullopt};
    const Result<Estimate> bytes = estimate(content, &candidate);
    if (!bytes || (best && bytes->delta >= best_bytes)) continue;
    best_bytes = bytes->delta;
    best = std::move(candidate);
  }
  return best;
}

// Adds a factor to the parent where the difference has a low rank and that saves bytes.
Result<void> look_for_factor(const Content& content, Parent& parent) {
  const Result<Estimate> plain = estimate(content, &parent);
  if (!plain) return plain.error();
  // Sparse changes are cheaper still.
  const auto sampled = static_cast<double>(std::min(content.bytes.size(), 2 * kBlockBytes));
  if (plain->delta < sampled / 16) return {};
  Result<std::optional<Factor>> found = find_factor(
      content.bytes, content.layout, [&](std::uint64_t index, std::span<std::byte> block) {
        return parent.reader.block(index, block);
      });
  if (!found) return std::move(found).error();
  if (!*found) return {};
  parent.factor = std::move(**found);
  const Result<Estimate> factored = estimate(content, &parent);
  if (!factored) return factored.error();
  const double share = static_cast<double>((content.layout.rows + content.layout.columns) *
                                           parent.factor->rank * sizeof(float)) /
                       static_cast<double>(content.bytes.size());
  if (factored->delta + share * sampled > kWorthwhile * plain->delta) parent.factor.reset();
  return {};
}

Result<std::optional<Parent>> choose_parent(const ObjectStore& store,
                                            const Content& content,
                                            const StoreLimits& limits) {
  std::optional<Parent> parent = best_relative(store, content, limits);
  if (!parent) return parent;
  if (Result<void> done = look_for_factor(content, *parent); !done) return std::move(done).error();
  const Result<Estimate> bytes = estimate(content, &*parent);
  if (!bytes) return bytes.error();
  if (bytes->delta >= kWorthwhile * bytes->alone) parent.reset();
  return parent;
}

ObjectInfo info_for(const Content& content, const std::optional<Parent>& parent) {
  ObjectInfo info;
  info.layout = {.bytes = content.layout.bytes, .item_bytes = content.layout.item_bytes};
  if (!parent) return info;
  info.parent = parent->id;
  info.depth = parent->reader.depth() + 1;
  info.chain_bytes = parent->reader.chain_bytes();
  if (parent->factor) info.layout = content.layout;
  return info;
}

// Blocks [first, first + encoded.size()).
Result<void> encode_blocks(const Content& content,
                           const std::optional<Parent>& parent,
                           std::uint64_t first,
                           int threads,
                           std::span<EncodedBlock> encoded) {
  std::mutex mutex;
  Result<void> failed;
  parallel_for(encoded.size(), threads, [&](std::size_t i) {
    const std::span<const std::byte> plain = block_of(content, first + i);
    Bytes prediction;
    if (parent) {
      prediction.resize(plain.size());
      if (Result<void> done = predict(*parent, content.layout, first + i, prediction); !done) {
        const std::lock_guard lock(mutex);
        failed = std::move(done);
        return;
      }
    }
    encoded[i] = encode_block(plain, prediction, content.layout.item_bytes);
  });
  return failed;
}

}  // namespace

Result<std::uint64_t> encode_object(const ObjectStore& store,
                                    const Content& content,
                                    const Path& path,
                                    int threads,
                                    const StoreLimits& limits) {
  Result<std::optional<Parent>> parent = choose_parent(store, content, limits);
  if (!parent) return std::move(parent).error();
  const Factor* const factor = *parent && (*parent)->factor ? &*(*parent)->factor : nullptr;
  Result<ObjectWriter> writer =
      ObjectWriter::create(store.files(), path, info_for(content, *parent), factor);
  if (!writer) return std::move(writer).error();
  const std::uint64_t blocks = block_count(content.bytes.size());
  const unsigned workers = threads > 0 ? static_cast<unsigned>(threads)
                                       : std::max(std::thread::hardware_concurrency(), 1U);
  for (std::uint64_t first = 0; first < blocks; first += workers * kAhead) {
    std::vector<EncodedBlock> encoded(std::min<std::uint64_t>(workers * kAhead, blocks - first));
    if (Result<void> done = encode_blocks(content, *parent, first, threads, encoded); !done)
      return std::move(done).error();
    for (const EncodedBlock& block : encoded)
      if (Result<void> done = writer->append(block); !done) return std::move(done).error();
  }
  return writer->finish();
}

}  // namespace ration::versions
