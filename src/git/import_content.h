#pragma once

// Contents of a history, plain or kept by git-lfs, that become manifests.

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "git/lfs_pointer.h"
#include "git/repository.h"
#include "versions/manifest.h"

namespace ration::git {

// What one blob holds.
struct OldContent {
  enum class Kind {
    plain,    // the file itself
    pointer,  // of git-lfs
    manifest  // as it shall be; empty files are so too
  };
  std::string blob;
  std::string path;  // one that has it
  Kind kind = Kind::plain;
  std::uint64_t bytes = 0;  // of the file
  LfsPointer pointer = {};  // where it is one
  bool missing = false;     // a pointer whose file cannot be had
};

// Finds out what the blobs of `contents` hold.
Result<void> classify(Repository& repository, std::vector<OldContent>& contents);

class ContentImport {
 public:
  // `scratch` is a file for one content at a time.
  ContentImport(const Repository& repository, Path scratch);

  // Whether the file of a pointer is here, or, with `fetch`, git-lfs gets it now.
  Result<bool> have(const LfsPointer& pointer, bool fetch);

  // Stores it, as versions of the same path resemble each other best in their order: the manifest;
  // nothing for what stays as it is. Of a missing file, the pointer is kept as if it were the file.
  // ErrorKind::input where git-lfs has another file than the pointer says.
  Result<std::optional<std::string>> convert(const OldContent& content);

  std::uint64_t new_objects() const { return new_objects_; }
  std::uint64_t new_bytes() const { return new_bytes_; }

 private:
  Path lfs_path(const LfsPointer& pointer) const;
  Result<bool> smudge(const LfsPointer& pointer) const;
  Result<Path> file_of(const OldContent& content);
  std::vector<versions::Manifest> relatives(const std::string& path) const;

  const Repository* repository_;
  versions::ObjectStore store_;
  Path scratch_;
  Path lfs_storage_;
  std::map<std::string, std::deque<versions::Manifest>> by_path_;  // newest first
  std::deque<versions::Manifest> newest_;
  std::uint64_t new_objects_ = 0;
  std::uint64_t new_bytes_ = 0;
};

}  // namespace ration::git
