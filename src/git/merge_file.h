#pragma once

// One file merged by its tensors, from what git gives a merge driver.

#include <string>

#include "base/json.h"
#include "git/repository.h"
#include "versions/merge_versions.h"

namespace ration::git {

// What git hands to a driver: manifests, or, from history before `git ration`, checkpoints.
struct MergeTexts {
  Path base;  // empty where both sides added the file; may hold a conflict of ancestors
  Path ours;
  Path theirs;
};

// The strategy for a path from the top: its attribute ration-merge, else ration.merge of the
// config. ErrorKind::usage for a word that is none.
Result<versions::Strategy> strategy_for(const Repository& repository, const std::string& path);

Result<versions::MergedVersion> merge_file(const Repository& repository,
                                           const MergeTexts& texts,
                                           const versions::Strategy& strategy,
                                           bool ancestor);

// What happened, for people; of conflicts with what to do next.
std::string merge_report(const std::string& path,
                         const versions::MergedVersion& merged,
                         const versions::Strategy& strategy);
Json to_json(const std::string& path, const versions::MergedVersion& merged);

}  // namespace ration::git
