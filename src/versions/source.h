#pragma once

// A version of a checkpoint whose tensors can be read block by block, wherever it lies.
//
//   Result<Source> old = Source::open(store, "model.safetensors", 0);
//   Result<ReadBlock> read = old->tensor(old->manifest().tensors[0]);

#include <memory>

#include "checkpoint/safetensors.h"
#include "versions/factor.h"
#include "versions/manifest.h"
#include "versions/object_store.h"

namespace ration::versions {

class Source {
 public:
  // Of stored objects. The store must outlive it.
  Source(const ObjectStore& store, Manifest manifest)
      : store_(&store), manifest_(std::move(manifest)) {}

  // No file: without tensors, and not opaque.
  static Source absent(const ObjectStore& store) {
    return {store, Manifest{.file = {}, .size = 0, .header = ManifestHeader(), .tensors = {}}};
  }

  // A file that holds a manifest, or the checkpoint itself, whose tensors are then hashed on
  // `threads` threads (0 = all); an empty file is an opaque one. Nothing is stored. Of a checkpoint
  // the manifest's `file` is known only where it is opaque. Errors: those of reading the file, and
  // ErrorKind::input for a damaged manifest.
  static Result<Source> open(const ObjectStore& store, const Path& file, int threads);

  const Manifest& manifest() const { return manifest_; }

  // The blocks of one of its tensors, for any number of threads. ErrorKind::input for an object
  // that is missing.
  Result<ReadBlock> tensor(const ManifestTensor& tensor) const;

  // What stands in the header beside the tensors. ErrorKind::input for an object that is missing.
  Result<checkpoint::Metadata> metadata() const;

 private:
  Source() = default;
  Result<std::string> stored_header() const;

  const ObjectStore* store_ = nullptr;
  Manifest manifest_;
  std::shared_ptr<const checkpoint::TensorFile> file_;  // none: stored
};

}  // namespace ration::versions
