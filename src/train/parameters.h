#pragma once

// All parameters of a model in one flat buffer, all gradients in a second, with one view a tensor:
// clipping and the optimiser are plain loops, and a checkpoint is the list of views. Names and
// shapes: docs/training.md.

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "run/spec.h"

namespace ration::train {

// How a tensor begins: N(0, init_std^2), the same divided by sqrt(2 layers), ones, zeros, or 0.01
// everywhere.
enum class Init { normal, residual, ones, zeros, hundredths };

struct TensorShape {
  std::string name;  // "wte", "h0.attn.qkv.w", …
  std::vector<std::int64_t> shape;
  Init init = Init::normal;
  bool hidden = false;  // a matrix inside a layer
  bool tuned = true;    // false: spec.tune leaves it as it is
  double rate = 1;      // learning rate, relative to that of its like
};

// The tensors of a resolved spec, in the order of the forward pass. Those that are tuned are the
// last of the matrices and the last of the vectors.
std::vector<TensorShape> tensor_shapes(const run::RunSpec& spec);

// Where what training changes begins among the matrices of a flat buffer and among its vectors; in
// both it reaches to the end.
struct TunedFrom {
  std::int64_t matrices = 0;
  std::int64_t vectors = 0;
};

class Parameters {
 public:
  struct Entry {
    TensorShape shape;
    at::Tensor value;         // view of values(), requires a gradient
    at::Tensor grad;          // view of grads()
    std::int64_t offset = 0;  // of both, in the flat buffers
  };

  // Initial values: every tensor draws from its own stream keyed by (seed, name), so that no tensor
  // depends on another.
  Parameters(const run::RunSpec& spec, at::ScalarType dtype);

  const std::vector<Entry>& entries() const { return entries_; }
  const Entry& at(std::string_view name) const;
  bool has(std::string_view name) const;

  // Flat buffers [size]; gaps between tensors stay zero in both. Tensors of rank >= 2 come first:
  // [0, decayed()) is what weight decay touches.
  at::Tensor& values() { return values_; }
  const at::Tensor& values() const { return values_; }
  at::Tensor& grads() { return grads_; }
  const at::Tensor& grads() const { return grads_; }
  std::int64_t decayed() const { return decayed_; }
  // Training changes [tuned().matrices, decayed()) and [tuned().vectors, size).
  const TunedFrom& tuned() const { return tuned_; }
  // Zeroes the gradients of all else.
  void clear_frozen_gradients();

 private:
  std::vector<Entry> entries_;
  at::Tensor values_;
  at::Tensor grads_;
  std::int64_t decayed_ = 0;
  TunedFrom tuned_;
};

}  // namespace ration::train
