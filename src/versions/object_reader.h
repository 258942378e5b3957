#pragma once

// An object with the parents that its blocks are encoded against.

#include <span>
#include <vector>

#include "versions/object_file.h"

namespace ration::versions {

// Parents beyond which an object counts as damaged. What the encoder makes is far below.
constexpr int kDeepestChain = 1000;

// Any number of threads may read it.
class ObjectReader {
 public:
  // The object's own file first, then its parent's, and so on to one without a parent. At least
  // one, all of the same length.
  explicit ObjectReader(std::vector<ObjectFile> chain) : chain_(std::move(chain)) {}
  // Of a file that lies elsewhere, on its parent.
  ObjectReader(ObjectFile own, const ObjectReader& parent) : chain_(parent.chain_) {
    chain_.insert(chain_.begin(), std::move(own));
  }

  const Layout& layout() const { return chain_.front().info().layout; }
  const ObjectInfo& info() const { return chain_.front().info(); }
  int depth() const { return static_cast<int>(chain_.size()) - 1; }
  std::uint64_t stored_bytes() const { return chain_.front().size(); }
  std::uint64_t chain_bytes() const;         // of all the files
  bool builds_on(const ObjectId& id) const;  // as a parent, or a parent's
  // Whether the checksums of its own file and of all parents' are right. Reads them.
  bool intact() const;
  std::vector<ObjectId> parents() const;  // the nearest first

  // Fills `block`, whose length is that of block `index`. ErrorKind::input where a file is damaged.
  Result<void> block(std::uint64_t index, std::span<std::byte> block) const;

  // SHA-256 of everything, for checking; reads it whole.
  Result<ObjectId> digest() const;

 private:
  std::vector<ObjectFile> chain_;
};

}  // namespace ration::versions
