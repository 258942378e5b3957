#pragma once

// The kernels' number types as LibTorch names them.

#include <ATen/core/Tensor.h>

#include <type_traits>

#include "train/kernels/block.h"

namespace ration::train::device {

template <class T>
constexpr at::ScalarType scalar_type() {
  if (std::is_same_v<T, double>) return at::kDouble;
  return std::is_same_v<T, float> ? at::kFloat : at::kBFloat16;
}

// Where a tensor's elements lie; null for an undefined one.
template <class T>
T* data(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

}  // namespace ration::train::device
