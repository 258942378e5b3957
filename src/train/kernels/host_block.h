#pragma once

// A block of threads as one processor runs it: see block.h.

#include <cstdint>
#include <vector>

#include "train/kernels/block.h"

namespace ration::train::kernels {

template <int Threads>
class HostBlock {
 public:
  explicit HostBlock(std::byte* scratch) : scratch_(scratch) {}

  template <class Body>
  void each(std::int64_t n, Body body) const {
    for (std::int64_t i = 0; i < n; ++i) body(i);
  }

  template <class State, class Add, class Merge>
  State reduce(std::int64_t n, State none, Add add, Merge merge) const {
    State threads[Threads];
    for (State& thread : threads) thread = none;
    for (std::int64_t i = 0; i < n; ++i) add(i, threads[i % Threads]);
    State all = none;
    for (int warp = 0; warp < Threads; warp += kWarp) {
      for (int distance = kWarp / 2; distance > 0; distance /= 2)
        for (int lane = 0; lane < distance; ++lane)
          threads[warp + lane] = merge(threads[warp + lane], threads[warp + lane + distance]);
      all = warp == 0 ? threads[0] : merge(all, threads[warp]);
    }
    return all;
  }

  template <class Real>
  Real* scratch() const {
    return reinterpret_cast<Real*>(scratch_);
  }

  void wait() const {}

 private:
  static constexpr int kWarp = 32;
  static_assert(Threads % kWarp == 0);
  std::byte* scratch_;
};

// Runs a kernel, block after block.
template <class Kernel>
void launch_on_host(const Kernel& kernel) {
  std::vector<std::byte> scratch(static_cast<std::size_t>(kernel.scratch_bytes()));
  for (std::int64_t index = 0; index < kernel.blocks(); ++index)
    kernel(HostBlock<Kernel::kThreads>(scratch.data()), index);
}

}  // namespace ration::train::kernels
