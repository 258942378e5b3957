#pragma once

// The file of one stored object:
//
//   "RTNOBJ1\n"
//   U and V as little-endian float32, where there is a factor
//   the blocks' payloads, one behind the other
//   a JSON object in one line: bytes, item_bytes, parent, depth, chain_bytes, factor {dtype, rows,
//     columns, rank}, and modes, ends and crcs of the blocks
//   CRC-32C of that line, 8 hex digits; its length, 8 hex digits
//
// Ends count from the beginning of the file. Every payload's CRC-32C is checked when it is read.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "versions/block.h"
#include "versions/factor.h"
#include "versions/layout.h"
#include "versions/object_id.h"

namespace ration::versions {

struct BlockEntry {
  BlockMode mode = BlockMode::full;
  std::uint64_t end = 0;
  std::uint32_t crc = 0;
};

struct ObjectInfo {
  Layout layout;  // dtype, rows and columns only where there is a factor
  std::optional<ObjectId> parent;
  int depth = 0;                  // parents until one that needs none
  std::uint64_t chain_bytes = 0;  // of the files of all parents, when this one was written
  std::uint32_t rank = 0;         // of the factor; 0 = none
  std::vector<BlockEntry> blocks;
};

// One file, mapped. Any number of threads may read it.
class ObjectFile {
 public:
  // ErrorKind::input with the path for what is damaged.
  static Result<ObjectFile> open(Files& files, const Path& path);

  const ObjectInfo& info() const { return info_; }
  const std::optional<Factor>& factor() const { return factor_; }
  std::uint64_t size() const { return file_->bytes().size(); }

  // Whether the checksums of all blocks are right. Reads the file, not its parents.
  bool intact() const;

  // Turns the prediction of a block into its bytes. ErrorKind::input where the file is damaged.
  Result<void> decode(std::uint64_t index, std::span<std::byte> block) const;

 private:
  ObjectFile() = default;

  std::span<const std::byte> payload(std::uint64_t index) const;
  // A payload that was read, which ends there, need not stay in memory.
  void let_go(std::span<const std::byte> stored, std::uint64_t end) const;

  Path path_;
  std::shared_ptr<const MappedFile> file_;
  std::uint64_t blocks_begin_ = 0;
  ObjectInfo info_;
  std::optional<Factor> factor_;
};

// Writes one, a block after the other, to a file that the caller renames.
class ObjectWriter {
 public:
  // `info` without blocks.
  static Result<ObjectWriter> create(Files& files,
                                     const Path& path,
                                     ObjectInfo info,
                                     const Factor* factor);

  Result<void> append(const EncodedBlock& block);
  // Writes the end and syncs. The size of the file.
  Result<std::uint64_t> finish();

 private:
  ObjectWriter() = default;

  Files* files_ = nullptr;
  Path path_;
  std::unique_ptr<AppendFile> file_;
  ObjectInfo info_;
  std::uint64_t written_ = 0;
};

}  // namespace ration::versions
