#pragma once

// All that an import reads: the tables of runs, and what a side table tells about them.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "import/import.h"
#include "import/points.h"

namespace ration::import {

struct Inputs {
  std::vector<Table> tables, side_tables;
  std::map<std::string, Point> side;  // of the side tables, by the run's name
  std::set<std::string> side_used;    // names that a run was found for
  std::vector<std::string> notes;

  // A column of this role was named by an option.
  bool told(Role role) const;
};

// Problems (files, columns that an option names and no table has, no loss anywhere) are added.
Inputs read_inputs(Files& files,
                   const std::vector<Path>& paths,
                   const Options& options,
                   const PointOptions& point_options,
                   std::vector<Error>& problems);

}  // namespace ration::import
