#pragma once

// Two versions of a checkpoint that have an ancestor in common, joined tensor by tensor.
//
//   Result<MergedVersion> merged = merge_versions(store, {base, ours, theirs}, strategy, {});
//   if (merged && merged->conflicts.empty()) write(to_text(merged->result.manifest));

#include <string>
#include <vector>

#include "versions/ancestor.h"
#include "versions/object_store.h"
#include "versions/strategy.h"

namespace ration::versions {

struct MergeSides {
  const Ancestor& base;
  const Manifest& ours;
  const Manifest& theirs;
};

struct MergeConflict {
  std::string what;  // "tensor wte", "metadata step", "the file"
  std::string reason;
};

struct MergedVersion {
  // Without conflicts the merged file, all objects of which are stored. With conflicts only made
  // when MergeOptions asks for an ancestor.
  Ancestor result;
  std::vector<MergeConflict> conflicts;
  std::vector<std::string> mixed;        // tensors that the strategy computed
  std::vector<std::string> from_theirs;  // tensors taken from theirs, or left out like there
};

struct MergeOptions {
  int threads = 0;        // 0 = all
  bool ancestor = false;  // of a merge of common ancestors: conflicts become part of the result
};

// Tensors by judge() (versions/three_way.h), the metadata key by key. Header and order are those of
// the side that has the same tensors and metadata, ours before theirs; else the header is a new one
// with the tensors in the order of ours, then new ones of theirs.
// An opaque file is taken or left as a whole. Numbers that a strategy cannot compute with (NaN,
// infinity, overflow) are conflicts. ErrorKind::input for objects that are missing; reads every
// tensor of the result, for the digest of the file.
Result<MergedVersion> merge_versions(const ObjectStore& store,
                                     const MergeSides& sides,
                                     const Strategy& strategy,
                                     const MergeOptions& options);

}  // namespace ration::versions
