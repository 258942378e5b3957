#pragma once

// The device's table for one type; each .cu file makes one, so that they compile side by side.

#include "train/kernels/cuda_block.cuh"
#include "train/kernels/table.h"

namespace ration::train::kernels {

struct Cuda {
  template <class Kernel>
  static void launch(const Kernel& kernel, void* stream) {
    launch_on_cuda(kernel, stream);
  }
};

template <class T>
const Table<T>& cuda_table() {
  static const Table<T> table = filled<Cuda>(static_cast<const Table<T>*>(nullptr));
  return table;
}

}  // namespace ration::train::kernels
