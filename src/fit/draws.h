#pragma once

// The draws behind intervals: refits on resampled runs, or on losses with their noise drawn again.

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace ration::fit {

constexpr int kMostDraws = 100000, kMostThreads = 1024;

struct DrawOptions {
  // From the least that a procedure takes to kMostDraws. Where 0 is allowed, it gives no intervals.
  int resamples = 0;

  // Probability inside the intervals, above 0 and below 1.
  double interval = 0.90;

  // Equal seeds, equal intervals.
  std::uint64_t seed = 0;

  // Worker threads, at most kMostThreads, 0 = as many as there are cores. Changes no number.
  int threads = 0;
};

// All problems; `least`: the fewest draws that the procedure takes.
std::vector<Error> check(const DrawOptions& options, int least);

}  // namespace ration::fit
