#pragma once

// Numbers as people and trackers write them, and what a pattern reads out of a run's name.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ration::import {

struct WrittenNumber {
  double value = 0;
  bool with_unit = false;  // "125M" says its unit, "125" does not
};

// "3e9", "125M", "2.8B", "2b8" (= 2.8e9), "55 billion", "1,300,000", "nan", "inf"; k, M, B (or G)
// and T are powers of 1000. Nothing for anything else.
std::optional<WrittenNumber> parse_written(std::string_view text);

// A pattern such as "{params}-{tokens}-{unique}": fields in braces stand for numbers as above, {*}
// for any text, all else for itself. It may lie anywhere in the name, but begins and ends at the
// edge of a word; the first place that fits is taken, each field as long as it can be.
class NamePattern {
 public:
  // Errors (ErrorKind::usage): no field, an unknown one, the same one twice, a brace not closed.
  static Result<NamePattern> parse(std::string_view text);

  // Numbers by field (params, tokens, unique, epochs), or nothing where the name does not fit.
  std::optional<std::vector<std::pair<std::string, double>>> read(std::string_view name) const;

 private:
  struct Part {
    std::string text;
    bool field = false;
  };
  using Values = std::vector<std::pair<std::string, double>>;
  bool fits(std::string_view name, std::size_t at, std::size_t part, Values& values) const;

  std::vector<Part> parts_;
};

}  // namespace ration::import
