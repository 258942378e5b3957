#pragma once

// A table [remedies] beside the runs of its sweep: everything that can be known before training.

#include <map>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"
#include "study/remedies/chain.h"
#include "study/remedies/table.h"

namespace ration::study {

// Layers and width of a model, "2x64".
std::string size_of(const run::RunSpec& spec);

// The runs of a sweep by the names of their blocks, in the file's order.
using Blocks = std::map<std::string, std::vector<const scheduler::PlannedRun*>>;
Blocks blocks_of(const scheduler::Expansion& plan);

// The runs of a block as a chain's starts; their FLOPs are those planned.
std::vector<ChainStart> chain_starts(const std::vector<const scheduler::PlannedRun*>& runs);

// Where the runs of an arm's chain and its merged weights go.
ChainPlace chain_place(const scheduler::Sweep& sweep, const Path& store, const RemedyArm& arm);

struct PreparedRemedies {
  RemedyTable table;
  scheduler::Expansion plan;
};

// Errors, all of them at once: those of read_remedy_table and of expand, of chains' runs too;
// blocks that are not there, that have two runs of one size and replica, or lack one that another
// block took over; starts of a size that the baseline lacks (ErrorKind::usage); runs that are
// judged on other held-out text than the baseline's; data of chains, and a task, that are missing
// (ErrorKind::input).
Result<PreparedRemedies> prepare_remedies(const scheduler::Sweep& sweep,
                                          const scheduler::SweepOptions& options,
                                          Files& files);

}  // namespace ration::study
