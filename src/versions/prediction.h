#pragma once

// What an object is encoded against: a parent and, perhaps, a factor.

#include <optional>
#include <utility>
#include <vector>

#include "versions/factor.h"
#include "versions/object_reader.h"

namespace ration::versions {

class Prediction {
 public:
  // Reading the parent decodes its whole chain, and choosing how to encode reads it several times:
  // up to this many blocks of it stay in memory.
  static constexpr std::size_t kKept = 32;

  Prediction(ObjectId parent, ObjectReader reader)
      : id_(std::move(parent)),
        reader_(std::move(reader)),
        kept_(std::min<std::size_t>(block_count(reader_.layout().bytes), kKept)) {}

  const ObjectId& parent() const { return id_; }
  const ObjectReader& reader() const { return reader_; }
  const std::optional<Factor>& factor() const { return factor_; }
  // A factor of matrices of `layout`.
  void set_factor(std::optional<Factor> factor, const Layout& layout) {
    factor_ = std::move(factor);
    layout_ = layout;
  }

  // Block `index` of the parent; `block` has its length. Threads may read different blocks at once.
  Result<void> read_parent(std::uint64_t index, std::span<std::byte> block);
  // The same with the factor added.
  Result<void> read(std::uint64_t index, std::span<std::byte> block);

 private:
  ObjectId id_;
  ObjectReader reader_;
  std::optional<Factor> factor_;
  Layout layout_;
  std::vector<Bytes> kept_;  // of the first blocks; empty until it is read
};

}  // namespace ration::versions
