#pragma once

// Rows of named, typed columns: what the store hands out for other programs, and what a table's
// file holds.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ration::tables {

enum class Type { whole, real, text };

struct Column {
  std::string name;
  Type type = Type::text;
};

// Of its column's type, or no value (monostate): never logged, not known yet, or not a number.
using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;
using Row = std::vector<Cell>;

// The cell as plain text: numbers in the fewest digits that read back the same; no value is empty.
std::string text_of(const Cell& cell);

}  // namespace ration::tables
