#pragma once

// What happens to activations between the matrix products, row by row (a row is one token), with
// the derivatives written out. Buffers are row-major and contiguous: x is [N,C], hidden layers
// [N,F], logits [N,V] with a stride. All calls work on a range of rows, so that threads can share
// the work.

#include <cstdint>
#include <string_view>

#include "train/cpu/lanes.h"

namespace ration::train::cpu {

// RMSNorm, or LayerNorm when `centred`.
template <class Real>
struct Norm {
  std::int64_t width = 0;
  bool centred = false;
  double eps = 0;
  const Real* gain = nullptr;
  const Real* bias = nullptr;  // or none
};

// out = norm(x). `stats` receives mean and 1/deviation of each row: [N,2].
template <class Real>
void norm_forward(Range rows, const Norm<Real>& norm, const Real* x, Real* out, Real* stats);

// Adds to dx what dout becomes behind the norm, and to gain_grad and bias_grad (or none) [C]
// theirs.
template <class Real>
void norm_backward(Range rows,
                   const Norm<Real>& norm,
                   const Real* x,
                   const Real* stats,
                   const Real* dout,
                   Real* dx,
                   Real* gain_grad,
                   Real* bias_grad);

enum class Activation { swiglu, relu2, gelu_tanh, gelu_erf };

// As the setting `mlp` names it.
Activation activation_of(std::string_view mlp);

// out = act(up), or silu(gate) * up. `up` and `gate` are replaced by the derivatives of out by
// them.
template <class Real>
void activate(Range elements, Activation kind, Real* up, Real* gate, Real* out);

// Turns derivatives as left by activate() into gradients, given the gradient of its output.
template <class Real>
void activation_backward(Range elements, const Real* dout, Real* up, Real* gate);

// Which elements survive a dropout: element i of the whole batch does when the i-th draw of the
// stream `key` says so.
struct Mask {
  std::uint64_t key = 0;
  double probability = 0;

  bool active() const { return probability > 0; }
};

// Factors of the elements first … first + n - 1: 0, or 1/(1 - probability).
template <class Real>
void mask_factors(const Mask& mask, std::uint64_t first, std::int64_t n, Real* out);

// Multiplies values[0 … n-1], the first of which is element `first` of the batch, by their factors.
template <class Real>
void apply_mask(const Mask& mask, std::uint64_t first, std::int64_t n, Real* values);

// x = factor x
template <class Real>
void scale(Range elements, Real factor, Real* x);

// out = a + b
template <class Real>
void add(Range elements, const Real* a, const Real* b, Real* out);

// Adds bias [C] to every row.
template <class Real>
void add_bias(Range rows, std::int64_t width, const Real* bias, Real* x);

// Adds the sum of the rows to sums [C].
template <class Real>
void add_column_sums(Range rows, std::int64_t width, const Real* x, Real* sums);

struct CrossEntropy {
  std::int64_t vocab = 0;
  std::int64_t stride = 0;   // of a row of logits
  double weight = 0;         // of every token's loss in the gradient; 0: no gradient is wanted
  double square_weight = 0;  // of logsumexp^2 (z-loss), relative to a token's loss
};

// losses[row] = logsumexp(logits) - logits[target]. With a weight, logits become their gradient.
template <class Real>
void cross_entropy(Range rows,
                   const CrossEntropy& options,
                   const std::int64_t* targets,
                   Real* logits,
                   double* losses);

}  // namespace ration::train::cpu
