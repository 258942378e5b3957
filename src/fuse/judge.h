#pragma once

// Screening of what arrived in a round, and the fusion of what is left. Internal to the room.

#include "fuse/hands.h"
#include "fuse/step.h"

namespace ration::fuse {

// What all steps of a fusion share.
struct Context {
  const Config& config;
  const Hands& hands;
  Files& files;
  int threads = 0;
  Path folder;  // of the fusion
};

// Sets norm, cosine, probe, verdict and reason of contributions whose verdict is accepted so far;
// `history` are the norms of refuse_norm(). Their weights and, with `clip`, scales follow.
Result<void> judge(const Context& context, RoundRecord& record, const std::vector<double>& history);

// The format check: |tau|, or why the contribution cannot be used at all (in `reason`). Errors are
// those of reading.
Result<bool> check_format(const Context& context, Contribution& contribution);

// The step that the accepted contributions of a record ask for.
Step step_of(const Context& context, const RoundRecord& record, const std::string& velocity);

// Fuses the accepted ones: sets next, status, velocity, eta and probe_after. `velocity` is that
// before the round; empty = none.
Result<void> fuse_round(const Context& context, RoundRecord& record, const std::string& velocity);

// After fuse_round(): measures the late contributions, which change nothing. Their norm; the cosine
// of tau to the step that the round made, unknown where it made none; with Check::probe the loss on
// the probes of the base plus tau. One that does not pass the format check is rejected.
Result<void> measure_late(const Context& context, RoundRecord& record);

// The norms of accepted contributions of the last three of these rounds.
std::vector<double> norms_of(const std::vector<RoundRecord>& rounds);

}  // namespace ration::fuse
