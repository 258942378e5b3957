#pragma once

// What changed between two versions of a checkpoint, tensor by tensor. Tensors whose ids are equal
// are the same without being read.
//
//   Result<Difference> difference = compare(old, now, {});

#include <optional>
#include <string>
#include <vector>

#include "versions/source.h"
#include "versions/tally.h"

namespace ration::versions {

enum class Change { modified, dtype, shape, added, removed, same };
std::string_view name(Change change);  // "modified", "dtype changed", …

// How the numbers of a modified tensor moved.
struct Movement {
  std::uint64_t elements = 0;
  Tally tally;
  std::optional<int> rank;  // of the difference, where it is low (versions/factor.h)

  double changed_share() const;  // of the elements, by their bits
  // ||new - old|| / ||old||, Euclidean; infinite where only old is 0.
  double relative() const;
  double cosine() const;  // of old and new; 0 where one of them is 0
};

struct TensorChange {
  std::string name;
  Change change = Change::same;
  std::optional<ManifestTensor> before;  // none: added
  std::optional<ManifestTensor> after;   // none: removed
  std::optional<Movement> movement;      // of modified tensors that could be read
};

struct MetadataChange {
  std::string key;
  std::optional<std::string> before;
  std::optional<std::string> after;
};

struct Difference {
  // Modified ones first, by relative() from large to small, then the others in the order of Change,
  // those of equal rank by name.
  std::vector<TensorChange> tensors;
  std::vector<MetadataChange> metadata;  // by key
  std::uint64_t bytes_before = 0;        // of the files
  std::uint64_t bytes_after = 0;
  bool opaque = false;              // one of the files is no safetensors file
  bool file_changed = false;        // of an opaque file; of others, header or tensors
  std::vector<std::string> unread;  // why some could not be compared, each once
};

struct CompareOptions {
  int threads = 0;      // 0 = all
  bool numbers = true;  // false: the kind of change alone, nothing being read
};

// Objects that are missing or damaged are told in `unread`. Memory: some blocks a thread, and of
// matrices 24 rows and columns. The same for any number of threads. No other errors.
Difference compare(const Source& before, const Source& after, const CompareOptions& options);

}  // namespace ration::versions
