#pragma once

// Small runs, and what their workers leave behind, for tests of store and scheduler.

#include <string>
#include <vector>

#include "base/files.h"
#include "run/run.h"

namespace ration::test {

// A spec that check() accepts: width 8, 64 unique tokens, one epoch.
run::RunSpec small_spec(std::int64_t width = 8, std::int64_t seed = 0);

// Appends events to an attempt's log; `seq` counts from `first_seq`.
void append_events(const run::RunFolder& folder,
                   int attempt,
                   std::vector<run::Event> events,
                   std::int64_t first_seq = 0);

run::Event start_event(const std::string& token);
run::Event train_event(std::int64_t step, double loss);
run::Event val_event(std::int64_t step, double loss);
run::Event resume_event(std::int64_t step);

// result.json as a worker publishes it.
Json result_of(const run::RunSpec& spec, int attempt, double final_loss);

}  // namespace ration::test
