#pragma once

// What two sides of a merge began with. Where histories cross, git merges the common ancestors
// first, and hands the outcome on as a file; a conflict of theirs stands in a line before its
// manifest:
//
//   ration-conflict {"metadata":["key", …],"tensors":["name", …]}
//
// There the manifest holds one of the values, and which one says nothing.

#include <set>
#include <string>
#include <string_view>

#include "versions/manifest.h"

namespace ration::versions {

struct Ancestor {
  Manifest manifest;  // opaque and empty: there is none
  std::set<std::string> unclear_tensors = {};
  std::set<std::string> unclear_keys = {};  // of the metadata

  bool operator==(const Ancestor&) const = default;
};

constexpr std::string_view kConflictBegin = "ration-conflict ";

std::string to_text(const Ancestor& ancestor);
// Of to_text(), or of a manifest. ErrorKind::input for anything else.
Result<Ancestor> parse_ancestor(std::string_view text);

}  // namespace ration::versions
