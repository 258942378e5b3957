#pragma once

// Losses of points in weight space, computed by the trainer in runs of a sweep: wherever the
// scheduler can start a run, with its retries, and once for each list.
//
//   run::PointList list;  // models, corpora, points (run/points.h)
//   Result<std::vector<PointLoss>> losses =
//       evaluate_points(model, execution, list, "ties-alpha", {.store = "ration-runs"}, outside);
//
// Files: <store>/points/<sha256>.json is a list, <store>/points/<name>.json the sweep of its runs,
// which `ration run` takes, too. A repeated call finds its runs done and reads their losses.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "run/points.h"
#include "run/spec.h"
#include "scheduler/scheduler.h"

namespace ration::eval {

// The loss of one point on one corpus.
struct PointLoss {
  std::string point;
  std::string corpus;
  double loss = 0;                     // nats a token; NaN where the weights give no finite one
  std::int64_t tokens = 0;             // evaluated
  std::vector<double> sequences = {};  // nats a token of each window, in order, when asked for
};

struct EvaluateOptions {
  // Runs that the points are dealt to in equal parts, 1 to 1024, so that slots work side by side;
  // never more than there are points.
  std::size_t parts = 1;
};

// The settings of a run that evaluates: of `shape` those that say which function the weights are
// (the model's, `precision`, `parametrisation`), all else at its default, so that points have one
// identity whatever trained them.
Json evaluation_settings(const run::RunSpec& shape);

// The lists of the parts: points in their order, as many in each, give or take one.
std::vector<run::PointList> split(const run::PointList& list, std::size_t parts);

// The lines of a points.jsonl, which must be those of `list` in its order: point after point, of
// each its corpora. ErrorKind::input names the first line that is another, or is missing.
Result<std::vector<PointLoss>> parse_losses(std::string_view text,
                                            const std::string& file,
                                            const run::PointList& list);

// Evaluates each point of `list` on its corpora; in the order of the list, point after point.
// `execution.data` is prepared data of the model's vocabulary. `name` is that of the sweep in the
// store: letters, digits, `_`, `.` and `-`, at most 64. Errors: those of run_sweep; a run that
// failed (ErrorKind::resource, with its reason); interrupted or detached (ErrorKind::interrupted:
// the same call continues); results that are not those of the list.
Result<std::vector<PointLoss>> evaluate_points(const run::RunSpec& shape,
                                               const run::Execution& execution,
                                               const run::PointList& list,
                                               const std::string& name,
                                               const scheduler::SweepOptions& options,
                                               scheduler::Outside outside,
                                               const EvaluateOptions& how = {});

}  // namespace ration::eval
