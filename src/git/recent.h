#pragma once

// The manifests that this repository made last, <store>/recent/<digest of the file>, the newest by
// the time of its file: a version that is not committed yet, or not on this branch, may be what the
// next one resembles. They only help: one that is lost or damaged costs bytes.

#include <vector>

#include "base/files.h"
#include "versions/manifest.h"

namespace ration::git {

constexpr std::size_t kRecent = 8;

// Newest first, at most kRecent.
std::vector<versions::Manifest> recent_manifests(Files& files, const Path& store);

// Makes it the newest. Several processes may do so at once.
void remember(Files& files, const Path& store, const versions::Manifest& manifest);

}  // namespace ration::git
