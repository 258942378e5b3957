#include "versions/encoder.h"

#include <algorithm>
#include <atomic>

#include "base/parallel.h"
#include "versions/prediction.h"

namespace ration::versions {
namespace {

// A delta makes reading slower: it must save a tenth.
constexpr double kWorthwhile = 0.9;
// Blocks encoded before they are written, for each thread.
constexpr std::size_t kAhead = 4;

std::span<const std::byte> block_of(const Content& content, std::uint64_t index) {
  return content.bytes.subspan(index * kBlockBytes, bytes_of_block(content.bytes.size(), index));
}

// Estimated bytes of two blocks, the middle one and the first; beside those without a parent.
struct Estimate {
  double alone = 0;
  double delta = 0;
};

Result<Estimate> estimate(const Content& content, Prediction& prediction) {
  const std::uint64_t middle = block_count(content.bytes.size()) / 2;
  Estimate sum;
  Bytes predicted;
  for (const std::uint64_t index : {middle, std::uint64_t{0}}) {
    const std::span<const std::byte> plain = block_of(content, index);
    predicted.resize(plain.size());
    if (Result<void> done = prediction.read(index, predicted); !done)
      return std::move(done).error();
    sum.alone += estimated_block_bytes(plain, {}, content.layout.item_bytes);
    sum.delta += estimated_block_bytes(plain, predicted, content.layout.item_bytes);
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

// Adds a factor where the difference has a low rank and that saves bytes. What is estimated then.
Result<Estimate> look_for_factor(const Content& content, Prediction& prediction) {
  Result<Estimate> plain = estimate(content, prediction);
  const auto sampled = static_cast<double>(std::min(content.bytes.size(), 2 * kBlockBytes));
  // Sparse changes are cheaper still.
  if (!plain || plain->delta < sampled / 16) return plain;
  Result<std::optional<Factor>> found = find_factor(
      content.bytes, content.layout, [&](std::uint64_t index, std::span<std::byte> block) {
        return prediction.read_parent(index, block);
      });
  if (!found) return std::move(found).error();
  if (!*found) return plain;
  const double share = static_cast<double>((content.layout.rows + content.layout.columns) *
                                           (*found)->rank * sizeof(float)) /
                       static_cast<double>(content.bytes.size());
  prediction.set_factor(std::move(*found), content.layout);
  Result<Estimate> factored = estimate(content, prediction);
  if (!factored) return factored;
  factored->delta += share * sampled;
  if (factored->delta < kWorthwhile * plain->delta) return factored;
  prediction.set_factor(std::nullopt, content.layout);
  return plain;
}

// The first relative that saves enough: looking at one costs reading two blocks of its whole chain.
// One that cannot be read costs size only, and fsck tells of it.
std::optional<Prediction> choose_relative(const ObjectStore& store,
                                          const Content& content,
                                          const StoreLimits& limits) {
  for (const ObjectId& id : content.relatives) {
    if (id == content.id || !store.contains(id)) continue;
    Result<ObjectReader> reader = store.open(id);
    // On itself no object can build: a repack may turn a chain round.
    if (!reader || reader->builds_on(content.id) || !may_grow(*reader, content, limits)) continue;
    Prediction prediction(id, std::move(*reader));
    const Result<Estimate> bytes = look_for_factor(content, prediction);
    if (bytes && bytes->delta < kWorthwhile * bytes->alone) return prediction;
  }
  return std::nullopt;
}

ObjectInfo info_for(const Content& content, const std::optional<Prediction>& prediction) {
  ObjectInfo info;
  info.layout = {.bytes = content.layout.bytes, .item_bytes = content.layout.item_bytes};
  if (!prediction) return info;
  info.parent = prediction->parent();
  info.depth = prediction->reader().depth() + 1;
  info.chain_bytes = prediction->reader().chain_bytes();
  if (prediction->factor()) info.layout = content.layout;
  return info;
}

// Blocks [first, first + encoded.size()). False where the prediction cannot be read.
bool encode_blocks(const Content& content,
                   std::optional<Prediction>& prediction,
                   std::uint64_t first,
                   int threads,
                   std::span<EncodedBlock> encoded) {
  std::atomic<bool> readable = true;
  parallel_for(encoded.size(), threads, [&](std::size_t i) {
    const std::span<const std::byte> plain = block_of(content, first + i);
    Bytes predicted;
    if (prediction) {
      predicted.resize(plain.size());
      if (!prediction->read(first + i, predicted)) {
        readable = false;
        return;
      }
    }
    encoded[i] = encode_block(plain, predicted, content.layout.item_bytes);
  });
  return readable;
}

// The size of the file; nothing where the prediction cannot be read.
Result<std::optional<std::uint64_t>> write_object(const ObjectStore& store,
                                                  const Content& content,
                                                  std::optional<Prediction>& prediction,
                                                  const Path& path,
                                                  int threads) {
  const Factor* const factor =
      prediction && prediction->factor() ? &*prediction->factor() : nullptr;
  Result<ObjectWriter> writer =
      ObjectWriter::create(store.files(), path, info_for(content, prediction), factor);
  if (!writer) return std::move(writer).error();
  const std::uint64_t blocks = block_count(content.bytes.size());
  const unsigned workers = threads > 0 ? static_cast<unsigned>(threads)
                                       : std::max(std::thread::hardware_concurrency(), 1U);
  for (std::uint64_t first = 0; first < blocks; first += workers * kAhead) {
    std::vector<EncodedBlock> encoded(std::min<std::uint64_t>(workers * kAhead, blocks - first));
    if (!encode_blocks(content, prediction, first, threads, encoded))
      return std::optional<std::uint64_t>();
    for (const EncodedBlock& block : encoded)
      if (Result<void> done = writer->append(block); !done) return std::move(done).error();
    if (content.release)
      content.release(first * kBlockBytes, (first + encoded.size()) * kBlockBytes);
  }
  Result<std::uint64_t> bytes = writer->finish();
  if (!bytes) return std::move(bytes).error();
  return std::optional(*bytes);
}

}  // namespace

Result<std::uint64_t> encode_object(const ObjectStore& store,
                                    const Content& content,
                                    const Path& path,
                                    int threads,
                                    const StoreLimits& limits) {
  Content attempt = content;
  while (true) {
    std::optional<Prediction> prediction = choose_relative(store, attempt, limits);
    Result<std::optional<std::uint64_t>> bytes =
        write_object(store, attempt, prediction, path, threads);
    if (!bytes) return std::move(bytes).error();
    if (*bytes) return **bytes;
    // A damaged relative, though its first blocks were good: without it, and those before it.
    const auto tried =
        std::find(attempt.relatives.begin(), attempt.relatives.end(), prediction->parent());
    attempt.relatives.erase(attempt.relatives.begin(), tried + 1);
    if (Result<void> done = store.files().remove_all(path); !done) return std::move(done).error();
  }
}

}  // namespace ration::versions
