#pragma once

#include <span>

#include "git/repository.h"
#include "versions/manifest.h"

namespace ration::git {

// Gets what the manifests need and the store lacks from the place that ration.remote names; does
// nothing without one. What is in neither place stays missing, for who reads it to say. Errors:
// those of the remote.
Result<void> fetch_missing(const Repository& repository,
                           std::span<const versions::Manifest> manifests);

}  // namespace ration::git
