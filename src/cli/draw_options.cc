#include "cli/draw_options.h"

namespace ration::cli {

std::vector<Option> draw_options() {
  return {{.name = "interval",
           .value = "SHARE",
           .default_value = "0.9",
           .help = "Probability inside the intervals, between 0 and 1."},
          {.name = "seed", .value = "N", .default_value = "0", .help = "Seed of the draws."},
          {.name = "threads",
           .value = "N",
           .default_value = "0",
           .help = "Threads, at most 1024, 0 = every core. Changes no number."}};
}

fit::DrawOptions read_draws(OptionReader& read, int least) {
  fit::DrawOptions draws{.resamples = least};
  draws.resamples =
      static_cast<int>(read.whole("bootstrap", least, fit::kMostDraws).value_or(draws.resamples));
  draws.interval = read.quantity("interval", "").value_or(draws.interval);
  draws.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  draws.threads = static_cast<int>(read.whole("threads", 0, fit::kMostThreads).value_or(0));
  return draws;
}

}  // namespace ration::cli
