#pragma once

// Which files an import means, and whether git would send them through the filter: git itself is
// asked, as nobody else knows all that .gitattributes can say.

#include <string>
#include <unordered_set>
#include <vector>

#include "git/workshop.h"

namespace ration::git {

using PathSet = std::unordered_set<std::string>;

// Those of `paths` that patterns of .gitattributes, from the top of the tree, mean.
// ErrorKind::usage for what is no pattern, and for patterns that mean .gitattributes.
Result<PathSet> matching_paths(const Workshop& workshop,
                               const std::vector<std::string>& patterns,
                               const std::vector<std::string>& paths);

// ErrorKind::usage where a file of `matching` in the index goes through a filter other than
// git-lfs: what history has of it is not the file.
Result<void> check_no_other_filter(const Repository& repository, const PathSet& matching);

// ErrorKind::usage where a file of `matching` in the tree would not go through git-ration. Takes
// the workshop's index.
Result<void> check_tree(const Workshop& workshop, const std::string& tree, const PathSet& matching);

}  // namespace ration::git
