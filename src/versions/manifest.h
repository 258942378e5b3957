#pragma once

// What git stores in the place of a checkpoint: text of one line a tensor, so that plain diffs,
// merges and rebases see tensors. It names contents alone, no commits and no parents: history may
// be rewritten, cut short or renamed without harm.
//
//   ration-checkpoint 1
//   file sha256:<hex> size <bytes>
//   header sha256:<hex> <bytes>
//   t <name, percent-encoded> <dtype> <d0xd1…, "-" for a scalar> sha256:<hex> <bytes>
//   …
//
// The tensors stand in the order of their data. A file that is no valid safetensors file has the
// line `opaque` behind the second, and its bytes are one object, whose id is that of the file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/dtype.h"
#include "versions/object_id.h"

namespace ration::versions {

struct ManifestTensor {
  std::string name;
  checkpoint::DType dtype = checkpoint::DType::f32;
  std::vector<std::uint64_t> shape;
  ObjectId id;
  std::uint64_t bytes = 0;

  bool operator==(const ManifestTensor&) const = default;
};

// The JSON of a safetensors file with its padding, without the eight bytes of its length before it.
struct ManifestHeader {
  ObjectId id;
  std::uint64_t bytes = 0;

  bool operator==(const ManifestHeader&) const = default;
};

struct Manifest {
  ObjectId file;                         // of the whole file
  std::uint64_t size = 0;                // of the whole file, bytes
  std::optional<ManifestHeader> header;  // none: opaque
  std::vector<ManifestTensor> tensors;

  bool opaque() const { return !header.has_value(); }
  const ManifestTensor* find(std::string_view name) const;  // nullptr when there is none

  bool operator==(const Manifest&) const = default;
};

constexpr std::string_view kManifestBegin = "ration-checkpoint 1\n";
// Longer text is read as no manifest: a hundred times that of the largest model known, bytes.
constexpr std::uint64_t kLongestManifest = std::uint64_t{1} << 28;

std::string to_text(const Manifest& manifest);

// ErrorKind::input with the line that is wrong: to_text() must give the same bytes back, sizes must
// agree with shapes and with the file's.
Result<Manifest> parse_manifest(std::string_view text);

// The objects that it needs: header, tensors, or the one of an opaque file; each once, empty ones
// left out (they need no storing).
std::vector<ObjectId> objects_of(const Manifest& manifest);

}  // namespace ration::versions
