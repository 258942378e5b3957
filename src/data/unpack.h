#pragma once

// Compressed text: gzip, zstd and xz, recognised by their first bytes, unpacked in one go or block
// by block.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace ration::data {

enum class Packing { none, gzip, zstd, xz };

// How `bytes`, the beginning of a file, are compressed. Six bytes decide.
Packing packing_of(std::string_view bytes);

enum class UnpackProblem { none, damaged, too_large };

// Unpacks a file that arrives in pieces. All members of the file are unpacked; what follows the
// last of a gzip file is ignored, as gzip itself does.
//
//   std::unique_ptr<Unpacker> unpacker = make_unpacker(Packing::gzip);
//   while (more) unpacker->feed(piece, text);
//   if (!unpacker->finish()) …  // damaged, or cut short
class Unpacker {
 public:
  virtual ~Unpacker() = default;
  // Takes bytes off `input` and appends what they hold to `out`, stopping early (with input left)
  // once `out` has `limit` bytes or some 256 KiB more. False: damaged.
  virtual bool feed(std::string_view& input, std::string& out, std::size_t limit) = 0;
  // Whether the file ended where a member ends.
  virtual bool finish() = 0;
};

// `packing` is not none. Memory: what the format's window needs, up to 128 MiB (zstd, xz).
std::unique_ptr<Unpacker> make_unpacker(Packing packing);

struct Unpacked {
  std::string bytes;
  UnpackProblem problem = UnpackProblem::none;
};

// Unpacks a whole file. Stops with too_large once more than `limit` bytes came out, so that a small
// file cannot fill the memory.
Unpacked unpack(std::string_view compressed, Packing packing, std::size_t limit);

}  // namespace ration::data
