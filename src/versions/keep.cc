#include "versions/keep.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
#include "base/mapped_pages.h"
#include "base/parallel.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_header.h"
#include "versions/hold.h"

namespace ration::versions {
namespace {

using checkpoint::TensorFile;
using checkpoint::TensorInfo;

// Objects of fewer blocks are encoded beside each other, a thread each; longer ones one after the
// other on all threads.
constexpr std::uint64_t kLongBlocks = 8;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Tensors of earlier versions by name.
class Relatives {
 public:
  explicit Relatives(std::span<const Manifest> earlier) : earlier_(earlier) {
    for (const Manifest& manifest : earlier) {
      auto& names = by_name_.emplace_back();
      for (const ManifestTensor& tensor : manifest.tensors) names.emplace(tensor.name, &tensor);
    }
  }

  std::vector<ObjectId> of(const ManifestTensor& tensor) const {
    std::vector<ObjectId> ids;
    for (const auto& names : by_name_) {
      const auto found = names.find(tensor.name);
      if (found == names.end() || found->second->bytes != tensor.bytes) continue;
      if (std::find(ids.begin(), ids.end(), found->second->id) == ids.end())
        ids.push_back(found->second->id);
    }
    return ids;
  }

  std::vector<ObjectId> of_opaque(std::uint64_t size) const {
    std::vector<ObjectId> ids;
    for (const Manifest& manifest : earlier_)
      if (manifest.opaque() && manifest.size == size) ids.push_back(manifest.file);
    return ids;
  }

 private:
  std::span<const Manifest> earlier_;
  std::vector<std::unordered_map<std::string_view, const ManifestTensor*>> by_name_;
};

Result<Kept> keep_opaque(const ObjectStore& store,
                         const MappedFile& file,
                         const KeepOptions& options) {
  const std::span<const std::byte> bytes = file.bytes();
  Kept kept;
  kept.manifest.file = options.file ? *options.file : ObjectId{sha256_hex(text_of(bytes))};
  kept.manifest.size = bytes.size();
  if (bytes.empty()) return kept;
  const Content content{.id = kept.manifest.file,
                        .bytes = bytes,
                        .layout = layout_of_bytes(bytes.size()),
                        .relatives = Relatives(options.earlier).of_opaque(bytes.size()),
                        .release = [&file](std::uint64_t begin, std::uint64_t end) {
                          release_pages(file, begin, end);
                        }};
  Result<Stored> stored = store.add(content, options.threads, options.limits);
  if (!stored) return std::move(stored).error();
  kept.new_objects = stored->bytes > 0 ? 1 : 0;
  kept.new_bytes = stored->bytes;
  return kept;
}

Manifest manifest_of(const TensorFile& file, const KeepOptions& options) {
  const std::span<const std::byte> header = header_of(file);
  Manifest manifest;
  manifest.size = file.all().size();
  manifest.header = ManifestHeader{ObjectId{sha256_hex(text_of(header))}, header.size()};
  std::vector<ObjectId> ids = digests_of(file, options.threads);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const TensorInfo& tensor = file.tensors()[i];
    manifest.tensors.push_back(
        {tensor.name, tensor.dtype, tensor.shape, std::move(ids[i]), tensor.end - tensor.begin});
  }
  manifest.file = options.file ? *options.file : ObjectId{sha256_hex(text_of(file.all()))};
  return manifest;
}

// What is to be stored, each id once.
std::vector<Content> contents_of(const TensorFile& file,
                                 const Manifest& manifest,
                                 const Relatives& relatives) {
  std::vector<Content> contents;
  std::unordered_set<ObjectId> seen;
  const std::span<const std::byte> header = header_of(file);
  if (!header.empty()) {
    seen.insert(manifest.header->id);
    contents.push_back({.id = manifest.header->id,
                        .bytes = header,
                        .layout = layout_of_bytes(header.size()),
                        .relatives = {}});
  }
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    const ManifestTensor& tensor = manifest.tensors[i];
    if (tensor.bytes == 0 || !seen.insert(tensor.id).second) continue;
    const TensorInfo& info = file.tensors()[i];
    contents.push_back({.id = tensor.id,
                        .bytes = file.bytes(info),
                        .layout = layout_of(tensor.dtype, tensor.shape),
                        .relatives = relatives.of(tensor),
                        .release = [&file, &info](std::uint64_t begin, std::uint64_t end) {
                          file.release(info.begin + begin, std::min(info.begin + end, info.end));
                        }});
  }
  return contents;
}

}  // namespace

std::span<const std::byte> header_of(const TensorFile& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.all().data(), sizeof length);
  return file.all().subspan(checkpoint::kLengthBytes, length);
}

std::vector<ObjectId> digests_of(const TensorFile& file, int threads) {
  const std::vector<TensorInfo>& tensors = file.tensors();
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto size = [&](std::size_t i) { return tensors[i].end - tensors[i].begin; };
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return size(a) > size(b); });
  std::vector<ObjectId> ids(tensors.size());
  parallel_for(order.size(), threads, [&](std::size_t i) {
    const TensorInfo& tensor = tensors[order[i]];
    Sha256 hash;
    // By pieces, so that no more of the file than needed stays in memory.
    const std::span<const std::byte> bytes = file.bytes(tensor);
    for (std::uint64_t at = 0; at < bytes.size(); at += 16 * kBlockBytes) {
      const std::uint64_t count = std::min<std::uint64_t>(16 * kBlockBytes, bytes.size() - at);
      hash.update(bytes.subspan(at, count));
      file.release(tensor.begin + at, tensor.begin + at + count);
    }
    ids[order[i]] = {hash.hex()};
  });
  return ids;
}

Result<Kept> keep(const ObjectStore& store, const Path& path, const KeepOptions& options) {
  // Nothing that is found there is collected meanwhile.
  Result<Hold> hold = Hold::to_add(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  Result<TensorFile> file = TensorFile::open(store.files(), path);
  if (!file) {
    if (file.error().kind != ErrorKind::input) return std::move(file).error();
    Result<std::unique_ptr<MappedFile>> mapped = store.files().map(path);
    if (!mapped) return std::move(mapped).error();
    return keep_opaque(store, **mapped, options);
  }
  Kept kept{.manifest = manifest_of(*file, options)};
  const std::vector<Content> contents =
      contents_of(*file, kept.manifest, Relatives(options.earlier));
  std::vector<const Content*> shorts;
  std::vector<const Content*> longs;
  for (const Content& content : contents)
    (block_count(content.bytes.size()) < kLongBlocks ? shorts : longs).push_back(&content);

  std::mutex mutex;
  Result<void> failed;
  const auto add = [&](const Content& content, int threads) {
    Result<Stored> stored = store.add(content, threads, options.limits);
    if (content.release) content.release(0, content.bytes.size());
    const std::lock_guard lock(mutex);
    if (!stored) {
      failed = std::move(stored).error();
      return;
    }
    kept.new_objects += stored->bytes > 0 ? 1 : 0;
    kept.new_bytes += stored->bytes;
  };
  parallel_for(shorts.size(), options.threads, [&](std::size_t i) { add(*shorts[i], 1); });
  for (const Content* content : longs) add(*content, options.threads);
  if (!failed) return std::move(failed).error();
  return kept;
}

}  // namespace ration::versions
