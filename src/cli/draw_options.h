#pragma once

// The options of the draws behind intervals, as every fit has them.

#include "cli/option_reader.h"
#include "fit/draws.h"

namespace ration::cli {

// --interval, --seed and --threads; --bootstrap has other bounds in each fit.
std::vector<Option> draw_options();

// The numbers behind these and --bootstrap, which takes `least` draws or more.
fit::DrawOptions read_draws(OptionReader& read, int least);

}  // namespace ration::cli
