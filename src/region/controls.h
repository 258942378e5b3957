#pragma once

// Models that no training made, to compare trained ones with.

#include <cstdint>

#include "base/files.h"
#include "base/result.h"
#include "merge/merge.h"

namespace ration::region {

enum class Control {
  random,    // theta_0 + g: Gaussian, each tensor's length the mean of |tau_i| of that tensor
  shuffled,  // theta_0 + tau_0 with its entries shuffled within each tensor; takes one model
};

// Writes one to `output` (safetensors, dtypes of the base), whole or not at all. Same seed, same
// bytes, whatever the threads. Two names of one tensor stay so. Errors as merge_to_file. Memory:
// one tensor as f64 and as it is stored.
Result<void> write_control(Files& files,
                           Control control,
                           const merge::Inputs& inputs,
                           std::uint64_t seed,
                           const Path& output,
                           const merge::Options& options);

}  // namespace ration::region
