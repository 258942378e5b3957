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

// The seed of a contributor's run: of the fusion's seed, the round and the contributor's place.
std::uint64_t seed_of(const Config& config, std::int64_t round, std::size_t contributor);

// What the round does to contributions of contributor `place` for an experiment; nothing mostly.
const Fault* fault_of(const Config& config, const std::string& contributor);
// Its contribution of this round never arrives.
bool fails(const Config& config, std::int64_t round, std::size_t place);

// What was trained as an arrival: altered by its fault, its file's digest taken. `file` is
// absolute.
Result<Contribution> arrival_of(const Context& context, const Task& task, const Trained& trained);

}  // namespace ration::fuse
