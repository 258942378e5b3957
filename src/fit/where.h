#pragma once

// Which rows of a table to take: comparisons joined by `and`, such as
//   split=fit and in_published_fit=1 and epochs<=20
// Operators = != < <= > >=. Both sides numbers: compared as numbers; else as text, for = and !=
// only.

#include <string_view>

#include "base/result.h"
#include "fit/csv.h"

namespace ration::fit {

class RowFilter {
 public:
  // An empty text takes every row. An error names an unknown column or what is not a comparison.
  static Result<RowFilter> parse(std::string_view text, const Csv& csv);

  bool takes(const CsvRow& row) const;

 private:
  enum class Operator { equal, unequal, less, at_most, greater, at_least };
  struct Comparison {
    std::size_t column = 0;
    Operator op = Operator::equal;
    std::string value;
  };
  static Result<Comparison> parse_comparison(std::string_view text, const Csv& csv);
  static bool holds(const Comparison& comparison, const std::string& cell);

  std::vector<Comparison> comparisons_;
};

}  // namespace ration::fit
