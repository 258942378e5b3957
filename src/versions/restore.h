#pragma once

// A manifest turned back into the file that it stands for.

#include <functional>
#include <span>
#include <vector>

#include "versions/manifest.h"
#include "versions/object_store.h"

namespace ration::versions {

// Takes the next bytes of the file.
using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

// The whole file, in order, decoded on `threads` threads (0 = all). An error, ErrorKind::input, for
// objects that are missing or damaged: those that are missing before the first byte, others where
// they are met; one at the end should the digest be another than the manifest's. Memory: some
// blocks a thread.
Result<void> restore(const ObjectStore& store,
                     const Manifest& manifest,
                     const ByteSink& sink,
                     int threads = 0);

// The digest of what restore() would give, for a manifest whose `file` is not known yet. Reads
// everything; errors as restore().
Result<ObjectId> digest_of_file(const ObjectStore& store,
                                const Manifest& manifest,
                                int threads = 0);

// Into a file that appears whole, or not at all.
Result<void> restore_to_file(const ObjectStore& store,
                             const Manifest& manifest,
                             const Path& path,
                             int threads = 0);

// Objects of the manifest that are not in the store, and parents that they need; sorted.
Result<std::vector<ObjectId>> missing_objects(const ObjectStore& store, const Manifest& manifest);

}  // namespace ration::versions
