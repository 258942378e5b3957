#include "import/series.h"

#include <fmt/format.h>

#include <algorithm>

#include "import/rows.h"

namespace ration::import {

void Series::add(const std::string& run,
                 const std::string& axis,
                 double position,
                 const std::string& tag,
                 std::string value) {
  const auto [place, is_new] = number_of_.emplace(run, runs_.size());
  if (is_new) runs_.push_back({run, {}});
  if (std::find(tags_.begin(), tags_.end(), tag) == tags_.end()) tags_.push_back(tag);
  runs_[place->second].rows[{axis, position}][tag] = std::move(value);
}

fit::Csv Series::table(std::string file) const {
  RowTable table(std::move(file));
  for (const Run& run : runs_)
    for (const auto& [place, cells] : run.rows) {
      const auto& [axis, position] = place;
      Members members = {{"run", run.name}, {axis, fmt::format("{}", position)}};
      for (const std::string& tag : tags_)
        if (const auto cell = cells.find(tag); cell != cells.end()) members.push_back(*cell);
      table.add(members, 0, fmt::format("run {}, {} {}", run.name, axis, position));
    }
  return std::move(table).finish();
}

}  // namespace ration::import
