#pragma once

// Which parent, factor and modes an object gets.

#include "versions/object_store.h"

namespace ration::versions {

// Writes the file of an object to `path`, synced. Its size.
Result<std::uint64_t> encode_object(const ObjectStore& store,
                                    const Content& content,
                                    const Path& path,
                                    int threads,
                                    const StoreLimits& limits);

}  // namespace ration::versions
