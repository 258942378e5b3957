#pragma once

// The files of a work tree that go through the filter, and what became of them.

#include <optional>
#include <string>
#include <vector>

#include "git/repository.h"
#include "versions/manifest.h"

namespace ration::git {

// Tensors of one version against an older one. A file without tensors counts as none.
struct TensorChanges {
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t changed = 0;   // other bits, type or shape
  bool other_bytes = false;  // no tensor differs, but the file does: its header, or opaque bytes

  bool none() const { return added + removed + changed == 0 && !other_bytes; }
};

// `older` may be nullptr: then all is added.
TensorChanges changes_between(const versions::Manifest* older, const versions::Manifest& newer);

enum class WorkFile {
  gone,        // not in the work tree
  manifest,    // a manifest stands in the place of the checkpoint, because objects were missing
  unmodified,  // as in the index
  modified,
  conflict  // both sides of a merge changed it; the index has no version of its own
};

struct TrackedFile {
  std::string path;
  // As in the index; nothing where git has the plain file, from before it was tracked.
  std::optional<versions::Manifest> index;
  std::optional<versions::Manifest> head;
  WorkFile work = WorkFile::unmodified;
  std::size_t missing_objects = 0;  // of the index's version, parents included
};

// Files in the index whose attribute `filter` is "ration", in the order of their paths.
Result<std::vector<TrackedFile>> tracked_files(Repository& repository);

}  // namespace ration::git
