#include "versions/object_reader.h"

#include <algorithm>

#include "base/hash.h"

namespace ration::versions {

std::uint64_t ObjectReader::chain_bytes() const {
  std::uint64_t bytes = 0;
  for (const ObjectFile& file : chain_) bytes += file.size();
  return bytes;
}

bool ObjectReader::builds_on(const ObjectId& id) const {
  return std::any_of(chain_.begin(), chain_.end(), [&](const ObjectFile& file) {
    return file.info().parent == id;
  });
}

bool ObjectReader::intact() const {
  return std::all_of(
      chain_.begin(), chain_.end(), [](const ObjectFile& file) { return file.intact(); });
}

std::vector<ObjectId> ObjectReader::parents() const {
  std::vector<ObjectId> ids;
  for (const ObjectFile& file : chain_)
    if (file.info().parent) ids.push_back(*file.info().parent);
  return ids;
}

Result<void> ObjectReader::block(std::uint64_t index, std::span<std::byte> block) const {
  // The nearest file that needs no prediction, then the deltas on it.
  std::size_t first = 0;
  while (first + 1 < chain_.size() && chain_[first].info().blocks[index].mode != BlockMode::full)
    ++first;
  for (std::size_t i = first + 1; i-- > 0;)
    if (Result<void> done = chain_[i].decode(index, block); !done) return done;
  return {};
}

Result<ObjectId> ObjectReader::digest() const {
  Sha256 hash;
  std::vector<std::byte> buffer(std::min(layout().bytes, kBlockBytes));
  for (std::uint64_t i = 0; i < block_count(layout().bytes); ++i) {
    const std::span<std::byte> part(buffer.data(), bytes_of_block(layout().bytes, i));
    if (Result<void> done = block(i, part); !done) return std::move(done).error();
    hash.update(std::span<const std::byte>(part));
  }
  return ObjectId{hash.hex()};
}

}  // namespace ration::versions
