#include "versions/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <unordered_set>

#include "base/hash.h"
#include "base/parallel.h"
#include "base/part_file.h"

namespace ration::versions {
namespace {

// Blocks decoded before they are handed on, for each thread.
constexpr std::size_t kAhead = 4;

// A part of the file that is one object.
struct Part {
  ObjectId id;
  std::uint64_t bytes = 0;
};

std::vector<Part> parts_of(const Manifest& manifest) {
  std::vector<Part> parts;
  if (manifest.opaque()) {
    parts.push_back({manifest.file, manifest.size});
  } else {
    parts.push_back({manifest.header->id, manifest.header->bytes});
    for (const ManifestTensor& tensor : manifest.tensors)
      parts.push_back({tensor.id, tensor.bytes});
  }
  std::erase_if(parts, [](const Part& part) { return part.bytes == 0; });
  return parts;
}

std::string length_of(const ManifestHeader& header) {
  std::string bytes;
  for (unsigned shift = 0; shift < 64; shift += 8)
    bytes += static_cast<char>(header.bytes >> shift & 0xFFU);
  return bytes;
}

// Decodes the blocks of many objects, some at a time, in order.
class Decoder {
 public:
  Decoder(const ObjectStore& store, const ByteSink& sink, int threads)
      : store_(store),
        sink_(sink),
        threads_(threads > 0 ? static_cast<unsigned>(threads)
                             : std::max(std::thread::hardware_concurrency(), 1U)) {}

  Result<void> add(const Part& part) {
    Result<ObjectReader> opened = store_.open(part.id);
    if (!opened) return std::move(opened).error();
    if (opened->layout().bytes != part.bytes)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("object {} has {} bytes; the manifest names {}",
                                       part.id.hex,
                                       opened->layout().bytes,
                                       part.bytes)};
    const auto reader = std::make_shared<const ObjectReader>(std::move(*opened));
    for (std::uint64_t i = 0; i < block_count(part.bytes); ++i) {
      waiting_.push_back({reader, i, {}});
      if (waiting_.size() < threads_ * kAhead) continue;
      if (Result<void> done = flush(); !done) return done;
    }
    return {};
  }

  Result<void> flush() {
    std::mutex mutex;
    Result<void> failed;
    parallel_for(waiting_.size(), static_cast<int>(threads_), [&](std::size_t i) {
      Block& block = waiting_[i];
      block.bytes.resize(bytes_of_block(block.reader->layout().bytes, block.index));
      Result<void> done = block.reader->block(block.index, block.bytes);
      if (done) return;
      const std::lock_guard lock(mutex);
      failed = std::move(done);
    });
    for (std::size_t i = 0; failed && i < waiting_.size(); ++i) failed = sink_(waiting_[i].bytes);
    waiting_.clear();
    return failed;
  }

 private:
  struct Block {
    std::shared_ptr<const ObjectReader> reader;  // blocks of one object share it
    std::uint64_t index = 0;
    Bytes bytes;
  };

  const ObjectStore& store_;
  const ByteSink& sink_;
  unsigned threads_;
  std::vector<Block> waiting_;
};

Error missing(const std::vector<ObjectId>& ids) {
  return {.kind = ErrorKind::input,
          .what = ids.size() == 1
                      ? fmt::format("object {} is missing", ids[0].hex)
                      : fmt::format(
                            "{} objects are missing, the first of them {}", ids.size(), ids[0].hex),
          .hint = "`git ration fetch` gets objects from the remote"};
}

// Hands on all bytes; their digest.
Result<ObjectId> decode_all(const ObjectStore& store,
                            const Manifest& manifest,
                            const ByteSink& sink,
                            int threads) {
  Result<std::vector<ObjectId>> absent = missing_objects(store, manifest);
  if (!absent) return std::move(absent).error();
  if (!absent->empty()) return missing(*absent);
  Sha256 hash;
  const ByteSink hashed = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    return sink(bytes);
  };
  if (!manifest.opaque()) {
    const std::string length = length_of(*manifest.header);
    if (Result<void> done = hashed(std::as_bytes(std::span(length))); !done)
      return std::move(done).error();
  }
  Decoder decoder(store, hashed, threads);
  for (const Part& part : parts_of(manifest))
    if (Result<void> done = decoder.add(part); !done) return std::move(done).error();
  if (Result<void> done = decoder.flush(); !done) return std::move(done).error();
  return ObjectId{hash.hex()};
}

}  // namespace

Result<void> restore(const ObjectStore& store,
                     const Manifest& manifest,
                     const ByteSink& sink,
                     int threads) {
  Result<ObjectId> digest = decode_all(store, manifest, sink, threads);
  if (!digest) return std::move(digest).error();
  if (*digest == manifest.file) return {};
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format("the objects of file sha256:{} give another file", manifest.file.hex),
      .hint = "`git ration fsck` lists all damaged objects; or the manifest was changed by hand"};
}

Result<ObjectId> digest_of_file(const ObjectStore& store, const Manifest& manifest, int threads) {
  return decode_all(
      store, manifest, [](std::span<const std::byte>) { return Result<void>(); }, threads);
}

Result<void> restore_to_file(const ObjectStore& store,
                             const Manifest& manifest,
                             const Path& path,
                             int threads) {
  Files& files = store.files();
  const Path part = part_beside(files, path);
  if (Result<void> done = files.remove_all(part); !done) return done;
  Result<std::unique_ptr<AppendFile>> file = files.open_append(part);
  if (!file) return std::move(file).error();
  Result<void> done = restore(
      store,
      manifest,
      [&](std::span<const std::byte> bytes) {
        return (*file)->append({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      },
      threads);
  if (done) done = files.sync(part);
  if (done) done = files.rename(part, path);
  if (done) return done;
  const Result<void> ignored = files.remove_all(part);
  (void)ignored;
  return done;
}

Result<std::vector<ObjectId>> missing_objects(const ObjectStore& store, const Manifest& manifest) {
  std::unordered_set<ObjectId> seen;
  std::vector<ObjectId> absent;
  std::vector<ObjectId> open = objects_of(manifest);
  while (!open.empty()) {
    const ObjectId id = std::move(open.back());
    open.pop_back();
    if (!seen.insert(id).second) continue;
    if (!store.contains(id)) {
      absent.push_back(id);
      continue;
    }
    Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(id));
    if (!file) return std::move(file).error();
    if (file->info().parent) open.push_back(*file->info().parent);
  }
  std::sort(absent.begin(), absent.end());
  return absent;
}

}  // namespace ration::versions
