#pragma once

// A table [remedies] beside the runs of its sweep: everything that can be known before training.

#include <map>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"
#include "study/remedies/table.h"

namespace ration::study {

// Layers and width of a model, "2x64".
std::string size_of(const run::RunSpec& spec);

// The runs of a sweep by the names of their blocks, in the file's order.
using Blocks = std::map<std::string, std::vector<const scheduler::PlannedRun*>>;
Blocks blocks_of(const scheduler::Expansion& plan);

struct PreparedRemedies {
  RemedyTable table;
  scheduler::Expansion plan;
};

// Errors, all of them at once: those of read_remedy_table and of expand; blocks that are not there,
// or have two runs of one size and replica (ErrorKind::usage); data of chains, and a task, that are
// missing (ErrorKind::input).
Result<PreparedRemedies> prepare_remedies(const scheduler::Sweep& sweep,
                                          const scheduler::SweepOptions& options,
                                          Files& files);

}  // namespace ration::study
