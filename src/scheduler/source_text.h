#pragma once

// The text of a sweep file and places in it, for messages that show the line.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::scheduler {

// Line and column count from 1; line 0 is the file as a whole.
struct Place {
  int line = 0;
  int column = 0;

  Place right(std::size_t columns) const { return {line, column + static_cast<int>(columns)}; }
};

class SourceText {
 public:
  SourceText(std::string file, std::string text);

  const std::string& file() const { return file_; }
  const std::string& text() const { return text_; }

  // The line without its end; empty when there is no such line.
  std::string_view line(int number) const;
  Place place_of(std::size_t byte) const;
  // Long lines are left out, control characters are shown as blanks.
  SourceRef at(Place place) const;
  Error problem(Place place, std::string what, std::string hint) const;

 private:
  std::string file_;
  std::string text_;
  std::vector<std::size_t> starts_;  // byte at which each line begins
};

}  // namespace ration::scheduler
