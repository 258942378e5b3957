#pragma once

// A sweep file as a tree of values with their places, whether it was written in TOML or in JSON.

#include <string>
#include <vector>

#include "run/spec.h"
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

// Reads the text of `source`; the root is a table. Refused: what read_sweep (sweep.h) says, dates,
// NaN and infinities, keys given twice.
Result<Node> read_document(const SourceText& source);

// The two syntaxes; read_document() chooses.
Result<Node> read_toml(const SourceText& source);
Result<Node> read_json(const SourceText& source);

}  // namespace ration::scheduler
