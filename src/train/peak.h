#pragma once

#include <cstdint>

namespace ration::train {

// What this processor can do at best: FLOP/s of the fastest of five fp32 products of 1024 x 1024
// matrices on LibTorch's threads. Measured once a process; 0.2 s.
double peak_flops_per_second();

// Largest resident memory of this process so far.
std::int64_t peak_memory_bytes();

// CPU seconds of all threads of this process so far.
double cpu_seconds();

}  // namespace ration::train
