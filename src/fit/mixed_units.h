#pragma once

// Losses in bits among losses in nats. Their sizes do not tell: 1.44 = 1/ln 2 times as high is what
// a smaller model would have. Their distance from a law does.

#include <span>
#include <vector>

#include "fit/fit.h"

namespace ration::fit {

struct MixedUnits {
  std::vector<std::size_t> places;  // of the fewer ones, ascending
  bool bits = true;                 // these are in bits; false: the others are
};

// Runs of up to 16 epochs that lie ln(1/ln 2) = 0.367 in ln L from the law of the others, within
// what those scatter; empty where all lie about one law, where too many lie off it for this to say
// anything, and of fewer than 20 runs (28 where tokens repeat). Needs runs that check_runs()
// accepts, each a run of its own. Where the unit goes with the size of the model or another count,
// a law bends to it and nothing is found.
MixedUnits find_mixed_units(std::span<const Observation> runs);

}  // namespace ration::fit
