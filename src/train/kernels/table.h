#pragma once

// All kernels as plain functions, one table a device and type of activations: double and float for
// tests and small models, BFloat16 for speed.
//
//   const Table<float>& run = host_table<float>();
//   run(AddNorm<float>{.rows = rows, …}, stream);
//
// Raw pointers and a stream, no LibTorch: nvcc compiles the device's half anywhere. On the host the
// stream is ignored and the call returns when the work is done.

#include <tuple>

#include "train/kernels/activation.h"
#include "train/kernels/embedding.h"
#include "train/kernels/norm.h"
#include "train/kernels/optimiser.h"
#include "train/kernels/rotation.h"
#include "train/kernels/softmax.h"
#include "train/kernels/sums.h"

namespace ration::train::kernels {

template <class Kernel>
using Launch = void (*)(const Kernel& kernel, void* stream);

template <class... Kernels>
class TableOf {
 public:
  explicit constexpr TableOf(Launch<Kernels>... launches) : launches_(launches...) {}

  template <class Kernel>
  void operator()(const Kernel& kernel, void* stream) const {
    std::get<Launch<Kernel>>(launches_)(kernel, stream);
  }

 private:
  std::tuple<Launch<Kernels>...> launches_;
};

template <class T>
using Table = TableOf<Embed<T>,
                      EmbedBackward<T>,
                      PositionsBackward<T>,
                      AddNorm<T>,
                      NormBackward<T>,
                      ColumnSums<T>,
                      FoldParts<T>,
                      Accumulate<T>,
                      Rotate<T>,
                      RotateBackward<T>,
                      Join<T>,
                      Activate<T>,
                      ActivateBackward<T>,
                      Attend<T>,
                      AttendBackward<T>,
                      Classify<T>,
                      SumLosses,
                      SquareSums<T>,
                      Decide,
                      AdamW<T>>;

template <class T>
const Table<T>& host_table();
// Defined in programs that are linked with the CUDA kernels.
template <class T>
const Table<T>& cuda_table();

// A table whose entries all come from one back end.
template <class BackEnd, class... Kernels>
constexpr TableOf<Kernels...> filled(const TableOf<Kernels...>*) {
  return TableOf<Kernels...>(&BackEnd::template launch<Kernels>...);
}

}  // namespace ration::train::kernels
