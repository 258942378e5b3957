#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace ration::train {

// What a device can do at best: FLOP/s of the fastest of five products of square matrices of this
// type, 1024 wide on the processor (on LibTorch's threads), 8192 on a GPU. Measured once a process
// and type; 0.2 s.
double peak_flops_per_second(const at::Device& device, at::ScalarType type);

// Largest resident memory of this process so far.
std::int64_t peak_memory_bytes();

// CPU seconds of all threads of this process so far.
double cpu_seconds();

}  // namespace ration::train
