#pragma once

// A block of threads of an NVIDIA GPU: see block.h.

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "train/kernels/block.h"

namespace ration::train::kernels {

// The same bytes from the lane at this distance.
template <class State>
__device__ inline State from_lane(const State& state, int distance) {
  static_assert(sizeof(State) % sizeof(unsigned) == 0);
  constexpr int kWords = sizeof(State) / sizeof(unsigned);
  unsigned words[kWords];
  memcpy(words, &state, sizeof state);
  for (unsigned& word : words) word = __shfl_xor_sync(0xFFFFFFFFU, word, distance);
  State other;
  memcpy(&other, words, sizeof other);
  return other;
}

template <int Threads>
class CudaBlock {
 public:
  template <class Body>
  __device__ void each(std::int64_t n, Body body) const {
    for (std::int64_t i = threadIdx.x; i < n; i += Threads) body(i);
  }

  template <class State, class Add, class Merge>
  __device__ State reduce(std::int64_t n, State none, Add add, Merge merge) const {
    State state = none;
    for (std::int64_t i = threadIdx.x; i < n; i += Threads) add(i, state);
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      state = merge(state, from_lane(state, distance));
    if constexpr (Threads == kWarp) return state;
    __shared__ alignas(State) unsigned char bytes[sizeof(State) * (Threads / kWarp)];
    auto* warps = reinterpret_cast<State*>(bytes);  // shared memory takes no constructors
    if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = state;
    __syncthreads();
    State all = warps[0];
    for (int warp = 1; warp < Threads / kWarp; ++warp) all = merge(all, warps[warp]);
    __syncthreads();  // the next reduction writes the same place
    return all;
  }

  template <class Real>
  __device__ Real* scratch() const {
    extern __shared__ __align__(32) unsigned char shared[];  // of packs of 8 floats
    return reinterpret_cast<Real*>(shared);
  }

  __device__ void wait() const {
    if constexpr (Threads == kWarp)
      __syncwarp();
    else
      __syncthreads();
  }

 private:
  static constexpr int kWarp = 32;
  static_assert(Threads % kWarp == 0);
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads) run_block(const Kernel kernel) {
  kernel(CudaBlock<Kernel::kThreads>(), static_cast<std::int64_t>(blockIdx.x));
}

// Blocks of one warp without shared memory, several in one block of the GPU, which has room for more
// warps than blocks.
constexpr int kWarpsAtOnce = 4;
template <class Kernel>
__global__ void __launch_bounds__(kWarpsAtOnce* Kernel::kThreads)
    run_warp(const Kernel kernel, std::int64_t blocks) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kWarpsAtOnce + threadIdx.y;
  if (index < blocks) kernel(CudaBlock<Kernel::kThreads>(), index);
}

// Puts a kernel into a stream (a cudaStream_t). Throws std::runtime_error when the driver refuses it.
template <class Kernel>
void launch_on_cuda(const Kernel& kernel, void* stream) {
  const std::int64_t blocks = kernel.blocks();
  if (blocks == 0) return;
  const auto bytes = static_cast<std::size_t>(kernel.scratch_bytes());
  constexpr std::size_t kWithoutAsking = 48 << 10;  // what every GPU gives a block
  cudaError_t status = cudaSuccess;
  if (bytes > kWithoutAsking)
    status = cudaFuncSetAttribute(run_block<Kernel>,
                                  cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes));
  if (status == cudaSuccess) {
    const auto of_stream = static_cast<cudaStream_t>(stream);
    const auto grid = [](std::int64_t count) { return static_cast<unsigned>(count); };
    bool launched = false;
    if constexpr (Kernel::kThreads == 32) {
      if (bytes == 0) {
        run_warp<<<grid(ceil_div(blocks, kWarpsAtOnce)), dim3(32, kWarpsAtOnce), 0, of_stream>>>(
            kernel, blocks);
        launched = true;
      }
    }
    if (!launched) run_block<<<grid(blocks), Kernel::kThreads, bytes, of_stream>>>(kernel);
    status = cudaGetLastError();
  }
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA kernel: ") + cudaGetErrorString(status));
}

}  // namespace ration::train::kernels
