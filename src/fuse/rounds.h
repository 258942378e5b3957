#pragma once

// One round of each mode: train, take what came, close, screen, fuse. Internal to the room.

#include "fuse/judge.h"
#include "fuse/state.h"

namespace ration::fuse {

// Why a round cannot be closed yet; empty when it was, and its manifest is written.
Result<std::string> sync_round(const Context& context, State& state, Clock& clock);
Result<std::string> async_round(const Context& context, State& state, Clock& clock);

// One arrival of asynchronous fusion: theta_v + eta w gamma^s tau, as a base of `folder`; its
// digest.
Part part_of(const Context& context, const Contribution& contribution, double eta);
Result<std::string> add_part(
    Files& files, const Part& part, const Path& base, const Path& folder, int threads);

// Whether something of the contributor arrived that began with `base`.
bool is_in(const RoundEvents& events, const std::string& contributor, const std::string& base);
// The manifest of a closed synchronous round, with the verdicts that need no look at weights; all
// others are accepted until they are judged.
RoundRecord record_of(const Context& context, const State& state, const RoundEvents& events);

// What contributor `place` is asked for in a round that begins with `base`.
Task task_of(const Context& context,
             std::size_t place,
             std::int64_t round,
             const std::string& base);
// Unless late contributions are dropped: those of earlier rounds, up to staleness_max, that were
// not at their end when these were closed.
std::vector<Task> late_tasks(const Context& context, const State& state);

// The seed of a contributor's run: of the fusion's seed, the round and the contributor's place.
std::uint64_t seed_of(const Config& config, std::int64_t round, std::size_t contributor);

// What the round does to contributions of contributor `place` for an experiment; nothing mostly.
const Fault* fault_of(const Config& config, const std::string& contributor);
// A line for each contributor whose contributions of this round were altered.
std::vector<std::string> altered_in(const Config& config, const RoundRecord& record);
// Its contribution of this round never arrives.
bool fails(const Config& config, std::int64_t round, std::size_t place);

// What was trained as an arrival: altered by its fault, its file's digest taken. `file` is
// absolute.
Result<Contribution> arrival_of(const Context& context, const Task& task, const Trained& trained);

}  // namespace ration::fuse
