#pragma once

// A sweep file as a tree of values with their places, whether it was written in TOML or in JSON.

#include <optional>
#include <string>
#include <vector>

#include "run/spec.h"
#include "scheduler/problems.h"
#include "scheduler/source_text.h"

namespace ration::scheduler {

struct Member;

struct Node {
  enum class Kind { value, array, table };

  Kind kind = Kind::value;
  Place place;  // of the value; of the header of a [table]
  run::Value value = {};
  std::vector<Node> items = {};      // of an array
  std::vector<Member> members = {};  // of a table, in the order of the file

  const Member* find(std::string_view key) const;
  const std::string* text() const;  // nullptr: no text
};

struct Member {
  std::string key;
  Place place;  // of the key
  Node node;
};

// Reads the text of `source`; the root is a table. Nothing when it cannot be read at all (limits of
// read_sweep in sweep.h, syntax). A value that cannot be used (date, null, NaN, infinity, control
// characters, a key given twice) adds to `problems` and stands as false.
std::optional<Node> read_document(const SourceText& source, Problems& problems);

// The two syntaxes; read_document() chooses.
std::optional<Node> read_toml(const SourceText& source, Problems& problems);
std::optional<Node> read_json(const SourceText& source, Problems& problems);

}  // namespace ration::scheduler
