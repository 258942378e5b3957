#pragma once

// The rules of docs/architecture.md about who may include whom, checked on the text of the sources.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ration::test {

// One row of the table of rooms.
struct Room {
  std::set<std::string> may_include;  // rooms, or single headers: "data/shards.h"
  std::set<std::string> libraries;    // beginnings of library headers that are this room's alone
};
using Rooms = std::map<std::string, Room>;

// Rows that begin with "| `room` |": room, may include, library headers.
Rooms rooms_of(std::string_view markdown);

// Sources by their path below src/: "fit/law.h" -> text.
using Sources = std::map<std::string, std::string>;

// Headers named by the include lines of a source: in quotes, and in angle brackets.
struct Includes {
  std::vector<std::string> own;
  std::vector<std::string> library;
};
Includes includes_of(std::string_view text);

// Everything that breaks a rule, one sentence each: an arrow that the table does not have, a header
// that does not exist, a cycle of rooms or of files, a library outside its room or visible through
// a header that another room includes, a header that is neither the first include of its own .cc
// nor without one.
std::vector<std::string> violations(const Rooms& rooms, const Sources& sources);

}  // namespace ration::test
