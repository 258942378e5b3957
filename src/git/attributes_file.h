#pragma once

// The lines of a .gitattributes that give files to the filter "ration":
//
//   *.safetensors filter=ration merge=ration diff=ration -text
//
// A pattern with blanks stands in quotes, as gitattributes(5) has it.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::git {

// Patterns whose lines set filter=ration, in their order.
std::vector<std::string> tracked_patterns(std::string_view attributes);

// The text with a line for the pattern behind it; unchanged where a line has it. ErrorKind::usage
// for patterns that gitattributes cannot hold.
Result<std::string> with_pattern(std::string_view attributes, const std::string& pattern);

// The text without the lines for the pattern; all others stay as they are.
std::string without_pattern(std::string_view attributes, const std::string& pattern);

// The text without what gives files of the pattern to git-lfs; other attributes of such lines stay.
// Blanks that git-lfs writes as [[:space:]] are blanks.
std::string without_lfs(std::string_view attributes, const std::string& pattern);

// The text with lines for the patterns, which count from the top of the tree, and none for git-lfs;
// `folder` is where the file lies: "" or "models/". Below the top lines are added only where others
// would win over those at the top, and only for patterns that can be written from there.
Result<std::string> imported_attributes(std::string_view attributes,
                                        std::string_view folder,
                                        const std::vector<std::string>& patterns);

}  // namespace ration::git
