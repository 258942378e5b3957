#pragma once

// Contributors as runs of the scheduler: one sweep a round, whose runs begin with the round's base.
// Internal to the room.

#include <memory>

#include "fuse/hands.h"

namespace ration::fuse {

// The sweep of these contributions, as a sweep file in JSON: a block each, named c0, c1, …; one
// without a base begins with drawn weights, for a look at its settings.
std::string sweep_text(const Config& config,
                       const Setup& setup,
                       const std::vector<Task>& tasks,
                       const std::string& name);

// A name for a sweep of a fusion, within the 64 characters that names of sweeps may have.
std::string sweep_name(const std::string& fusion, const std::string& ending);

// A path as [fuse] names it, absolute.
std::string path_of(const Setup& setup, const std::string& path);

// The runs of that sweep.
Result<std::vector<scheduler::PlannedRun>> expand_tasks(const Config& config,
                                                        const Setup& setup,
                                                        const std::vector<Task>& tasks,
                                                        Files& files);

// The settings of the runs of these contributions, in their order; every mistake of every
// contributor in one error. Trains nothing.
Result<std::vector<scheduler::PlannedRun>> plan(const Config& config,
                                                const Setup& setup,
                                                const std::vector<Task>& tasks,
                                                Files& files);

// The hands of run_fusion(). `shape` is the model that probes are evaluated with; all must outlive
// what is returned. `trained` counts the attempts that were started.
Hands scheduled(const Config& config,
                const Setup& setup,
                const scheduler::PlannedRun& shape,
                scheduler::Outside outside,
                std::int64_t& trained);

}  // namespace ration::fuse
