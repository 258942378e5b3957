#pragma once

// Where a test program runs its kernels: each is built for the processor, and again for a GPU where
// the trainer is built with CUDA (RATION_TEST_CUDA; label gpu).

#include <ATen/core/Tensor.h>

namespace ration::test {

inline at::Device device_under_test() {
#if defined(RATION_TEST_CUDA)
  return {at::kCUDA, 0};
#else
  return at::kCPU;
#endif
}

}  // namespace ration::test
