#include "train/peak.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>

namespace ration::train {
namespace {

double measure() {
  constexpr std::int64_t kSize = 1024;
  constexpr int kTimes = 5;
  const c10::InferenceMode no_gradients;
  const at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize});
  at::Tensor c = at::empty({kSize, kSize});
  at::mm_out(c, a, b);  // threads and memory are there from now on
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTimes; ++i) {
    const auto began = std::chrono::steady_clock::now();
    at::mm_out(c, a, b);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count());
  }
  return 2.0 * kSize * kSize * kSize / best;
}

}  // namespace

double peak_flops_per_second() {
  static const double peak = measure();
  return peak;
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace ration::train
