#pragma once

// Scalars of many runs, collected file by file and in any order, made into one table: a row a run
// and step, a column a tag.

#include <map>
#include <string>
#include <vector>

#include "fit/csv.h"

namespace ration::import {

class Series {
 public:
  // `axis` is what the position counts ("step", or a column such as "tokens"). A value given again
  // for the same place replaces the earlier one, as after a restart from a checkpoint.
  void add(const std::string& run,
           const std::string& axis,
           double position,
           const std::string& tag,
           std::string value);
  bool empty() const { return runs_.empty(); }

  // Columns run, step (or other axes), then tags as they appeared.
  fit::Csv table(std::string file) const;

 private:
  using Cells = std::map<std::string, std::string>;
  struct Run {
    std::string name;
    std::map<std::pair<std::string, double>, Cells> rows;
  };
  std::vector<Run> runs_;
  std::map<std::string, std::size_t> number_of_;
  std::vector<std::string> tags_;
};

}  // namespace ration::import
