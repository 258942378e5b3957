#pragma once

// y = x W' (+ b) and its gradients over plain buffers, on the kernels of train/cpu; on processors
// that these know no vectors of, large products on LibTorch.

#include <ATen/core/Tensor.h>

#include "train/cpu/buffer.h"
#include "train/cpu/product.h"
#include "train/parameters.h"

namespace ration::train {

// Whose matrix products: the trainer's own, LibTorch's, or LibTorch's for weights that leave a
// core's cache (products.h).
enum class Products { own, library, mixed };

template <class Real>
class Linear {
 public:
  Linear() = default;
  // `bias` may be null.
  Linear(const Parameters::Entry& weight, const Parameters::Entry* bias);

  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }
  bool exists() const { return weight_ != nullptr; }

  // Takes these products from now on; refresh() before the next forward().
  void use(Products products);

  // To be called after the weights changed and before forward().
  void refresh();

  // y [rows,out] = x [rows,in] W' + b; rows of y lie `stride` >= out elements apart. Where stride
  // is out rounded up to whole vectors, elements behind out become zero.
  void forward(std::int64_t rows, const Real* x, Real* y, std::int64_t stride) const;

  // Adds to the gradients of W and b, and dx [rows,in] = or += dy W.
  void backward(std::int64_t rows,
                const Real* x,
                const Real* dy,
                std::int64_t stride,
                Real* dx,
                cpu::Store store) const;

 private:
  std::int64_t in_ = 0, out_ = 0;
  bool own_ = true;  // the kernels of train/cpu compute, not LibTorch
  const Real* weight_ = nullptr;
  const Real* bias_ = nullptr;
  Real* weight_grad_ = nullptr;
  Real* bias_grad_ = nullptr;
  cpu::Buffer<Real> columns_;  // W' [in, out rounded up], where the kernels of train/cpu compute
};

}  // namespace ration::train
