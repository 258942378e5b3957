#pragma once

// What a sweep file wants done with its runs once they are trained: one table [merge], [fuse],
// [region] or [remedies]. The scheduler knows none of them and hands the table on.

#include <array>
#include <optional>
#include <string>

#include "base/json.h"
#include "scheduler/document.h"

namespace ration::scheduler {

inline constexpr std::array<const char*, 4> kStudies = {"merge", "fuse", "region", "remedies"};

struct Study {
  std::string kind;  // one of kStudies
  Json table;        // as the file has it; whoever carries it out checks its keys
};

// Nothing where the file has none. Two of them, or one that is no table, add to `problems`.
std::optional<Study> read_study(const Node& root, const SourceText& source, Problems& problems);

}  // namespace ration::scheduler
