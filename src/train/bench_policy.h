#pragma once

// ration-train --bench of a run whose policy learns: what the policy costs. Steps with it and steps
// on the same sequences without it are computed in turn, so that a machine that is disturbed
// disturbs both.

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "run/run.h"

namespace ration::train {

// Sources and a share where settings name a policy but no sources: two, of drawn tokens like the
// rest, which give half of the sequences.
void add_drawn_sources(run::RunSpec& spec);

// `steps` pairs; 0: as many as take about six seconds. Errors: no device. Members:
// docs/training.md.
Result<Json> bench_policy(const run::RunFile& file, std::int64_t steps);

// The same for people.
std::string bench_text_of_policy(const Json& report);

}  // namespace ration::train
