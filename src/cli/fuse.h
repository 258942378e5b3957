#pragma once

// Fusions, as the commands of `ration fuse` show them.

#include "cli/command.h"
#include "fuse/fuse.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// Carries out the [fuse] of a sweep file, whose runs are done.
Result<int> carry_out_fusion(const scheduler::Sweep& sweep,
                             const scheduler::SweepOptions& options,
                             scheduler::Outside outside,
                             const Console& console);

Result<void> check_fusion(const scheduler::Sweep& sweep,
                          const scheduler::SweepOptions& options,
                          Files& files);

// The folder of the fusion that a command names; without a name that of the only one in the store.
Result<Path> named_fusion(const Arguments& arguments, const std::optional<std::string>& name);

// A row a round: status, contributions, tokens, base.
std::string rounds_table(const std::vector<fuse::RoundRecord>& rounds);
Json rounds_json(const std::vector<fuse::RoundRecord>& rounds);

// What was accepted, what was not and why, a row a contribution.
std::string contributions_table(const std::vector<fuse::RoundRecord>& rounds);

}  // namespace ration::cli
