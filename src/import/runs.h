#pragma once

// Which points belong to one run.

#include <string>
#include <vector>

#include "import/inputs.h"

namespace ration::import {

struct Run {
  std::string name;
  std::vector<Point> points;  // of a history ascending by step, one a step
  bool history = false;       // else one point, which is the run
};

struct Runs {
  std::vector<Run> all;
  std::size_t replicas = 0;  // numbered, for the name was taken
};

// A row for a run that has a history moves to the side tables. Problems of cells are added.
Runs runs_of(Inputs& inputs, const PointOptions& options, std::vector<Error>& problems);

}  // namespace ration::import
