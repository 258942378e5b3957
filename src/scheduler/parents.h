#pragma once

// Runs that need others: branches their trunks, fine-tuned runs the weights that they begin with,
// lists of points the weights that they evaluate.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "scheduler/gate.h"
#include "scheduler/sweep.h"
#include "store/store.h"

namespace ration::scheduler {

// Ids of the runs that a run waits for, each once.
std::vector<std::string> parents_of(const PlannedRun& run);

// All runs of the sweeps of one command, by id; of a run of several sweeps, each of its places.
using RunsById = std::unordered_map<std::string, std::vector<PlannedRun*>>;
RunsById runs_by_id(std::span<Expansion* const> sweeps);

// Marks those whose weights others need, and lets them keep the checkpoints that are named.
void keep_for_children(const RunsById& runs);

// What of a run's parents this command does not train: nothing where the store has it, or has it in
// the making; else ErrorKind::input, with the runs that lack it. Without a reader there is no
// store.
Result<void> check_parents_outside(std::span<const PlannedRun* const> runs,
                                   const RunsById& inside,
                                   const store::Reader* reader);

// Before anything is started: the models of these runs are those of the runs whose weights they
// need. ErrorKind::usage with every difference; runs that nobody knows are passed over.
Result<void> check_parents_models(std::span<const PlannedRun* const> runs,
                                  const RunsById& inside,
                                  const store::Reader* reader);

// The gate of a run. `node_of` tells the machine's node of a run-id, or kNobody: then the store
// must have its weights. Nothing where all is there.
Result<std::optional<Gate>> gate_of(const PlannedRun& run,
                                    const std::function<std::size_t(const std::string&)>& node_of,
                                    const store::Reader& store);

}  // namespace ration::scheduler
