#pragma once

// The manifests that a repository holds, found by their first line.

#include <string>
#include <vector>

#include "git/repository.h"
#include "versions/manifest.h"

namespace ration::git {

struct FoundManifest {
  std::string path;  // empty where it is not known
  versions::Manifest manifest;
};

// Of the files of a revision, in the order of their paths.
Result<std::vector<FoundManifest>> manifests_of_tree(Repository& repository,
                                                     const std::string& revision);

// Of the blobs that `git rev-list --objects WORD…` lists, each once, the newest commits first.
Result<std::vector<FoundManifest>> manifests_of_commits(Repository& repository,
                                                        const std::vector<std::string>& words);

// Of all blobs that the repository has, whether anything leads to them or not: stashes, indexes of
// all worktrees and commits that only a reflog knows are among them.
Result<std::vector<FoundManifest>> all_manifests(Repository& repository);

}  // namespace ration::git
