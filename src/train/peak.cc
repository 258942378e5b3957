#include "train/peak.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <map>
#include <mutex>

#include "train/device/backend.h"

namespace ration::train {
namespace {

double measure(const at::Device& device, at::ScalarType type) {
  const std::int64_t size = device.is_cuda() ? 8192 : 1024;
  constexpr int kTimes = 5;
  const c10::InferenceMode no_gradients;
  const at::TensorOptions options = at::TensorOptions(type).device(device);
  // No round numbers: a GPU multiplies those faster, for its clock follows the power that it takes.
  const at::Tensor a =
      at::arange(size * size, options.dtype(at::kDouble)).sin_().view({size, size}).to(type);
  const at::Tensor b = a.t().contiguous();
  at::Tensor c = at::empty({size, size}, options);
  at::mm_out(c, a, b);  // threads and memory are there from now on
  device::finish(device);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTimes; ++i) {
    const auto began = std::chrono::steady_clock::now();
    at::mm_out(c, a, b);
    device::finish(device);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count());
  }
  const auto n = static_cast<double>(size);
  return 2 * n * n * n / best;
}

}  // namespace

double peak_flops_per_second(const at::Device& device, at::ScalarType type) {
  static std::mutex mutex;
  static std::map<at::ScalarType, double> known;  // a process uses one device
  const std::lock_guard lock(mutex);
  const auto found = known.find(type);
  return found != known.end() ? found->second
                              : known.emplace(type, measure(device, type)).first->second;
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
