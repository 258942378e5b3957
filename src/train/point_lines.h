#pragma once

// attempt-<n>/points.jsonl: what a run with `points` writes, a line a point and corpus in the order
// of the list (docs/formats.md, "Points").

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/points.h"

namespace ration::train {

// One line that the list asks for.
struct PointTask {
  std::size_t point = 0;     // of PointList::points
  std::size_t corpus = 0;    // of PointList::corpora
  std::int64_t windows = 0;  // that are evaluated
};

// All lines of the list. `windows`: of each corpus.
std::vector<PointTask> point_tasks(const run::PointList& list,
                                   std::span<const std::int64_t> windows);

// The line, with its newline. `losses`: nats a token of each window, of `context` tokens each. What
// is not finite is written as the string "nan", "inf" or "-inf".
std::string point_line(const run::PointList& list,
                       const PointTask& task,
                       std::span<const double> losses,
                       std::int64_t context);

// Bytes of the whole lines at the beginning of `text` that are those of the first tasks, and how
// many these are.
struct LinesDone {
  std::size_t bytes = 0;
  std::size_t lines = 0;
};
LinesDone lines_done(std::string_view text,
                     const run::PointList& list,
                     std::span<const PointTask> tasks,
                     std::int64_t context);

}  // namespace ration::train
