#pragma once

// What happens to a store as a whole: old objects that nothing needs are removed, chains are turned
// towards the newest versions, everything is checked, and counted.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "versions/manifest.h"
#include "versions/object_store.h"

namespace ration::versions {

using ListManifests = std::function<Result<std::vector<Manifest>>()>;
using CountProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

struct CollectOptions {
  // Seconds; younger objects stay, because an add may be about to name them. As git's own default.
  double min_age = 14 * 86400.0;
  bool remove = false;  // false: counts only
};

struct Collected {
  std::uint64_t young = 0;    // too young, needed or not
  std::uint64_t needed = 0;   // older ones that the manifests, or young objects, build on
  std::uint64_t removed = 0;  // or would be
  std::uint64_t removed_bytes = 0;
  std::uint64_t leftovers = 0;  // temporary files of processes that are gone
};

// `needed` lists all manifests that anybody may still check out; it is asked while nobody can add,
// for what is added behind its back would not be spared. Holds the store alone. Only removes
// files, so a kill at any point leaves a good store.
Result<Collected> collect(const ObjectStore& store,
                          const ListManifests& needed,
                          Clock& clock,
                          const CollectOptions& options);

struct Repacked {
  std::uint64_t objects = 0;  // written anew
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
};

// Encodes the objects of versions of one file, the newest first, anew: those of the newest version
// alone, each older one on the next newer, so that the newest is read fastest. Several files, one
// after the other; an object is written once. Holds the store alone; a kill at any point leaves
// every object readable. Memory: the largest tensor.
Result<Repacked> repack(const ObjectStore& store,
                        std::span<const std::vector<Manifest>> files,
                        int threads,
                        const CountProgress& progress = {});

struct BadObject {
  ObjectId id;
  std::string reason;
  bool itself = false;  // its own file is damaged, not only one that it builds on
};

// Decodes every object and compares ids, several at a time. The bad ones, sorted. Reads the chains
// of all, so that the cost grows with their length.
Result<std::vector<BadObject>> check_objects(const ObjectStore& store,
                                             int threads,
                                             const CountProgress& progress = {});

struct StoreStatistics {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;          // of the files
  std::uint64_t logical_bytes = 0;  // of what they hold
  std::uint64_t full = 0;           // objects without a parent
  std::uint64_t deltas = 0;
  std::uint64_t factored = 0;  // of the deltas, those with a factor
  std::uint64_t delta_bytes = 0;
  int deepest = 0;
  std::uint64_t damaged = 0;  // whose ends cannot be read
};

Result<StoreStatistics> statistics(const ObjectStore& store);

}  // namespace ration::versions
