#pragma once

// Which law to trust where the runs cannot say. In-sample scores and errors of rolling
// extrapolation both favour laws that bend most freely, which then explode beyond the runs. So laws
// are put side by side where they are asked, beyond the runs, and the one nearest to their median
// is chosen: it is off by no more than half of them are, and no minority can pull it away. Errors
// of extrapolation, AIC and BIC are reported beside it and decide nothing (docs/laws.md has the
// measurements).
//
//   Result<Choice> choice = choose_law(runs, {});
//   print(choice->candidates.front().law->name());

#include <span>
#include <string>
#include <vector>

#include "fit/fit.h"

namespace ration::fit {

struct Choice {
  std::vector<Candidate> candidates;  // the chosen first, then by distance
};

// What is asked of a law: every run's setting carried on, to 3 and 10 times its compute at the same
// epochs, and to 2 and 4 times its epochs.
Points beyond(std::span<const Observation> runs);

// Fits every law that weighs parameters against tokens; those with repetition only where some run
// repeats its tokens, and none that needs more settings than there are. `options.law` is not read.
// All but the chosen get up to 50 bootstrap refits, which an average draws on (average.h). Errors
// as fit_law; ErrorKind::untrusted where no law can be fitted.
Result<Choice> choose_law(std::span<const Observation> runs,
                          const Options& options,
                          const Points& region);

}  // namespace ration::fit
