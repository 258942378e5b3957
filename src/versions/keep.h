#pragma once

// A checkpoint file turned into a manifest and stored objects.
//
//   ObjectStore store(files, ".git/ration");
//   Result<Kept> kept = keep(store, "model.safetensors", {.earlier = {manifest_of_head}});
//   std::string text = to_text(kept->manifest);

#include <optional>
#include <span>
#include <vector>

#include "checkpoint/safetensors.h"
#include "versions/manifest.h"
#include "versions/object_store.h"

namespace ration::versions {

struct KeepOptions {
  // Versions that the file may resemble, the likeliest first: tensors of the same name and size
  // become parents of deltas.
  std::span<const Manifest> earlier = {};
  std::optional<ObjectId> file;  // its SHA-256, where that is known; else it is read once more
  int threads = 0;               // 0 = all
  StoreLimits limits = {};
};

struct Kept {
  Manifest manifest;
  std::uint64_t new_objects = 0;
  std::uint64_t new_bytes = 0;  // of their files
};

// Everything that the manifest names is stored, durable, and decoded as a check when it returns. A
// file that is no valid safetensors file is kept as one opaque object. The file must not change
// meanwhile. Memory: some blocks a thread. Errors: those of reading and writing files.
Result<Kept> keep(const ObjectStore& store, const Path& file, const KeepOptions& options);

// Ids of a file's tensors, in the order of their data, on `threads` threads (0 = all).
std::vector<ObjectId> digests_of(const checkpoint::TensorFile& file, int threads);
// The bytes of its JSON with the padding.
std::span<const std::byte> header_of(const checkpoint::TensorFile& file);

}  // namespace ration::versions
