#pragma once

// History written anew, so that files of some patterns are manifests in every commit.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "git/import_content.h"
#include "git/import_refs.h"

namespace ration::git {

struct ImportOptions {
  std::vector<std::string> patterns;  // as in .gitattributes, from the top of the tree
  std::vector<std::string> refs;      // names of branches and tags; none: the current branch
  bool everything = false;            // all branches and tags
  bool dry_run = false;               // count only
  bool skip_missing = false;          // keep the pointers of git-lfs whose files are not to be had
  bool force = false;                 // replace old refs of an earlier rewriting
};

struct ContentSum {
  std::uint64_t contents = 0;
  std::uint64_t bytes = 0;
};

struct ImportReport {
  std::vector<ImportedRef> refs;
  std::uint64_t commits = 0;
  std::uint64_t files = 0;  // paths
  ContentSum plain;
  ContentSum pointers;              // the missing ones among them
  std::uint64_t manifests = 0;      // already, or empty
  std::vector<OldContent> missing;  // pointers
  std::uint64_t signatures = 0;     // of commits and tags, dropped
  bool rewritten = false;
  std::uint64_t new_objects = 0;
  std::uint64_t new_bytes = 0;      // of their files
  std::vector<std::string> others;  // branches that keep the old history
};

using ImportProgress =
    std::function<void(std::uint64_t done, std::uint64_t total, const std::string& path)>;

// Refs move at the very end, together; the old ones stay below refs/original. An error, or a kill,
// before that leaves all as it was, but for objects that nothing names; the same command goes on
// then. ErrorKind::usage where it must not run here (see check_may_import), ErrorKind::input for
// pointers whose files are missing. Memory: what the names in history need, and some blocks.
Result<ImportReport> import_history(Repository& repository,
                                    const ImportOptions& options,
                                    const ImportProgress& progress);

}  // namespace ration::git
