#pragma once

// Files of other tools as tables. What each looks like is found by its content and name:
//
//   table        CSV with any columns, JSON Lines, a JSON list of objects or an object of them
//   wandb        the runs table of the web page as CSV; runs with `config`, `summary` and `name`
//                (JSON, JSON Lines, or CSV whose cells hold printed dictionaries), with or without
//                `history`; rows with `_step`; the chart of the web page as CSV ("Step", then
//                "RUN - METRIC", …__MIN, …__MAX)
//   tensorboard  event files; scalars downloaded as CSV (Wall time,Step,Value) or JSON ([[wall,
//                step, value], …]); one run a folder, or one a file
//
// A folder is walked; event files that lie in one folder are one run, named by its path under the
// folder given. Folders train, val, validation, eval, test below it belong to the run above them,
// and begin its tags ("eval/loss").

#include <string>
#include <vector>

#include "base/files.h"
#include "fit/csv.h"

namespace ration::import {

enum class Format { automatic, csv, jsonl, wandb, tensorboard };

enum class Shape {
  unknown,  // as the columns say (import.cc)
  runs,     // each row is a run
  history,  // rows are points in time of runs
};

struct Source {
  fit::Csv csv;
  Format format = Format::csv;
  Shape shape = Shape::unknown;
  std::string run;  // name where no column has one: the file's, or its folder's
};

struct Sources {
  std::vector<Source> all;
  std::vector<std::string> notes;  // torn event files, files passed over
};

// Errors (ErrorKind::input): a path that does not exist, a file that cannot be read as what it is
// said or seems to be, a folder without any. All problems of all files are reported.
Result<Sources> read_sources(Files& files, const std::vector<Path>& paths, Format format);

}  // namespace ration::import
