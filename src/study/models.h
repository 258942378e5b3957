#pragma once

// The trained runs of a sweep, as a study sees them: models with the text that each was trained on,
// and the held-out windows that they are judged by.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "run/points.h"
#include "run/spec.h"
#include "scheduler/sweep.h"

namespace ration::study {

struct Model {
  std::string run;     // run-id
  std::string block;   // the name of its [[block]]; may be empty
  std::string corpus;  // the last part of its data's path, "prose" of /data/prose
  Path data;           // folder of prepared data
  std::int64_t replica = 0;
  std::optional<run::Weights> start;  // what it began with; nothing = drawn weights
  run::RunSpec spec;
  run::Execution execution;

  std::string weights() const { return "run:" + run; }
};

// The runs of `sweep`, in the file's order; runs with `points` are none of them. Errors are those
// of scheduler::expand.
Result<std::vector<Model>> models_of(const scheduler::Sweep& sweep,
                                     Files& files,
                                     const scheduler::ExpandOptions& options = {});

// Held-out windows of a corpus for models of this context, cut in two: hyper-parameters are chosen
// on the first half, results reported on the other.
struct HeldOut {
  run::PointCorpus choose;
  run::PointCorpus report;
  run::PointCorpus all;  // both
};

// `windows` bounds each half; 0 = all that is there. ErrorKind::input where the folder is no
// prepared data or holds fewer than two windows; names it.
Result<HeldOut> held_out(Files& files,
                         const Path& data,
                         const std::string& corpus,
                         std::int64_t context,
                         std::int64_t windows = 0);

}  // namespace ration::study
