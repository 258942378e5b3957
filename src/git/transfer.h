#pragma once

// Objects between a store and a remote, always with the parents that they are encoded against.

#include <cstdint>
#include <span>

#include "git/remote.h"
#include "versions/manifest.h"

namespace ration::git {

struct Transferred {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;  // of their files
};

// What the manifests need and the remote lacks. Where something of it is in neither place,
// ErrorKind::input with its ids, before anything is sent.
Result<Transferred> push_objects(const versions::ObjectStore& store,
                                 Remote& remote,
                                 std::span<const versions::Manifest> manifests,
                                 const TransferProgress& progress);

struct Fetched {
  Transferred transferred;
  std::vector<versions::ObjectId> absent;  // needed, but not there either; sorted
};

// What the manifests need and the store lacks. An object enters the store behind its parents, so
// that a kill at any point leaves none that cannot be read; ErrorKind::input for a damaged one.
Result<Fetched> fetch_objects(const versions::ObjectStore& store,
                              Remote& remote,
                              std::span<const versions::Manifest> manifests);

}  // namespace ration::git
