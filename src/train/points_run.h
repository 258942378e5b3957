#pragma once

// A run with `points`: makes one model after another out of weights that exist, in memory, and
// writes its losses on held-out windows (run/points.h, docs/formats.md, "Points").
//
//   Result<run::WorkerExit> exit = evaluate_points({.folder = …, .file = …, .attempt = 1}, world);

#include <string>

#include "run/exit_codes.h"
#include "run/folder.h"
#include "train/surroundings.h"

namespace ration::train {

struct PointsAssignment {
  run::RunFolder folder;
  run::RunFile file;
  int attempt = 1;
  std::string token = {};  // of the attempt; empty when a person started it
};

// Goes on behind the lines that an earlier attempt left. Looks for a higher attempt and for a
// request to stop between two lines. ErrorKind::input or usage: the list, a model, a recipe or a
// corpus cannot be used; other kinds are those of files. Throws what LibTorch throws.
Result<run::WorkerExit> evaluate_points(PointsAssignment assignment, Surroundings& world);

}  // namespace ration::train
