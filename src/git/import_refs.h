#pragma once

// The branches and tags that an import rewrites: whether it may, and how they move.

#include <map>
#include <string>
#include <vector>

#include "git/repository.h"

namespace ration::git {

struct ImportedRef {
  std::string name;  // refs/heads/main
  std::string id;    // of a commit or an annotated tag
};

// The refs of these names: branches and tags, all of them with `everything`, else the current
// branch where none is named. Tags that lead to no commit are left out. ErrorKind::usage for names
// that stand for neither.
Result<std::vector<ImportedRef>> refs_to_import(const Repository& repository,
                                                const std::vector<std::string>& names,
                                                bool everything);

// Branches that are not among them.
Result<std::vector<std::string>> other_branches(const Repository& repository,
                                                const std::vector<ImportedRef>& refs);

// ErrorKind::usage with the first reason why the refs must not be rewritten here and now: a shallow
// clone; changes in the work tree; another worktree that has one of them checked out; old refs of
// an earlier rewriting, unless `force`; git does not call git-ration yet.
Result<void> check_may_import(const Repository& repository,
                              const std::vector<ImportedRef>& refs,
                              bool force);

// Moves the refs to their new ids and keeps the old ones below refs/original, all or none.
// ErrorKind::resource where somebody else moved one meanwhile.
Result<void> move_refs(const Repository& repository,
                       const std::vector<ImportedRef>& refs,
                       const std::map<std::string, std::string>& new_ids);

// Whether HEAD is one of these branches.
bool is_checked_out(const Repository& repository, const std::vector<ImportedRef>& refs);

// Brings index and work tree, which were as HEAD had been, to what HEAD is now. Files whose bytes
// stay are not written; those in `leave` are not touched.
Result<void> follow_head(const Repository& repository, const std::vector<std::string>& leave);

}  // namespace ration::git
