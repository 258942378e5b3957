#pragma once

// --bench where a device carries out the run, alone or several of one shape side by side.

#include <string>

#include "base/json.h"
#include "run/run.h"

namespace ration::train {

// `steps` = 0: as many as take about three seconds. Members as of bench(), with `runs`; a step is
// one recording, so that its time does not divide. Throws what LibTorch throws; error: no GPU.
Result<Json> bench_on_device(const run::RunFile& file, std::int64_t runs, std::int64_t steps);

// For people: lines with units.
std::string bench_text_of_device(const Json& report);

}  // namespace ration::train
