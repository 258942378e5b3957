#pragma once

// The non-linearity of the MLP with the bias before it. `before` is [rows,F], for swiglu [rows,2F]
// with the gate in front of up.

#include "train/kernels/block.h"

namespace ration::train::kernels {

enum class Activation { swiglu, relu2, gelu_tanh, gelu_erf };

template <class Real>
struct ValueSlope {
  Real value, slope;
};

template <class T>
RATION_BOTH inline ValueSlope<Wide<T>> silu(Wide<T> x) {
  const Wide<T> sigmoid = 1 / (1 + exponential<T>(-x));
  return {x * sigmoid, sigmoid + x * sigmoid * (1 - sigmoid)};
}

template <class Real>
RATION_BOTH inline ValueSlope<Real> relu2(Real x) {
  const Real positive = x > 0 ? x : (x <= 0 ? Real(0) : x);  // NaN stays NaN
  return {positive * positive, 2 * positive};
}

// x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3); (1 + tanh u)/2 is the sigmoid of 2u.
template <class T>
RATION_BOTH inline ValueSlope<Wide<T>> gelu_tanh(Wide<T> x) {
  using Real = Wide<T>;
  constexpr Real scale = static_cast<Real>(0.79788456080286535588);  // sqrt(2/pi)
  constexpr Real cubic = static_cast<Real>(0.044715);
  const Real share = 1 / (1 + exponential<T>(-2 * scale * (x + cubic * x * x * x)));
  const Real slope = 2 * scale * (1 + 3 * cubic * x * x);
  return {x * share, share + x * share * (1 - share) * slope};
}

// x P(normal < x)
template <class T>
RATION_BOTH inline ValueSlope<Wide<T>> gelu_erf(Wide<T> x) {
  using Real = Wide<T>;
  constexpr Real root_half = static_cast<Real>(0.70710678118654752440);
  constexpr Real peak = static_cast<Real>(0.39894228040143267794);  // density of a normal at 0
  const Real share = (1 + std::erf(x * root_half)) / 2;
  return {x * share, share + x * peak * exponential<T>(-x * x / 2)};
}

template <class T>
RATION_BOTH inline ValueSlope<Wide<T>> activation(Activation kind, Wide<T> x) {
  switch (kind) {
    case Activation::swiglu:
      return silu<T>(x);
    case Activation::relu2:
      return relu2(x);
    case Activation::gelu_tanh:
      return gelu_tanh<T>(x);
    case Activation::gelu_erf:
      break;
  }
  return gelu_erf<T>(x);
}

template <class T>
struct MlpRows {
  Rows rows;
  std::int64_t width = 0;  // F
  Activation kind = Activation::relu2;
  const Wide<T>* bias = nullptr;  // [F] of run 0, or none; none with swiglu
  std::int64_t stride = 0;        // from the bias of one run to the next

  RATION_BOTH Cells cells() const { return {rows.count, width / pack_of<T>(width)}; }
};

// out [rows,F] = act(before + bias), or silu(gate) * up.
template <class T>
struct Activate {
  static constexpr int kThreads = 128;
  using Real = Wide<T>;

  MlpRows<T> mlp;
  const T* before = nullptr;
  T* out = nullptr;

  std::int64_t blocks() const { return mlp.cells().blocks(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    mlp.cells().each(block, index, [&](std::int64_t row, std::int64_t i) {
      if (pack_of<T>(mlp.width) > 1)
        one_pack<kPack<T>>(row, i);
      else
        one_pack<1>(row, i);
    });
  }

  template <int N>
  RATION_BOTH void one_pack(std::int64_t row, std::int64_t i) const {
    const bool gated = mlp.kind == Activation::swiglu;
    const T* in = before + row * mlp.width * (gated ? 2 : 1);
    const Real* bias = mlp.bias == nullptr ? nullptr : mlp.bias + mlp.rows.run_of(row) * mlp.stride;
    const Pack<T, N> x = load<N>(in + i * N);
    Pack<T, N> up{}, to;
    if (gated) up = load<N>(in + mlp.width + i * N);
    for (int j = 0; j < N; ++j) {
      const Real shift = bias == nullptr ? Real(0) : bias[i * N + j];
      Real value = activation<T>(mlp.kind, widen(x.at[j]) + shift).value;
      if (gated) value *= widen(up.at[j]);
      to.at[j] = static_cast<T>(value);
    }
    store(to, out + row * mlp.width + i * N);
  }
};

// `before` becomes its gradient, given that of out.
template <class T>
struct ActivateBackward {
  static constexpr int kThreads = 128;
  using Real = Wide<T>;

  MlpRows<T> mlp;
  const T* dout = nullptr;
  T* before = nullptr;

  std::int64_t blocks() const { return mlp.cells().blocks(); }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t index) const {
    mlp.cells().each(block, index, [&](std::int64_t row, std::int64_t i) {
      if (pack_of<T>(mlp.width) > 1)
        one_pack<kPack<T>>(row, i);
      else
        one_pack<1>(row, i);
    });
  }

  template <int N>
  RATION_BOTH void one_pack(std::int64_t row, std::int64_t i) const {
    const bool gated = mlp.kind == Activation::swiglu;
    T* in = before + row * mlp.width * (gated ? 2 : 1);
    const Real* bias = mlp.bias == nullptr ? nullptr : mlp.bias + mlp.rows.run_of(row) * mlp.stride;
    const Pack<T, N> x = load<N>(in + i * N), d = load<N>(dout + row * mlp.width + i * N);
    Pack<T, N> up{}, to, to_up{};
    if (gated) up = load<N>(in + mlp.width + i * N);
    for (int j = 0; j < N; ++j) {
      const Real shift = bias == nullptr ? Real(0) : bias[i * N + j];
      const ValueSlope<Real> at = activation<T>(mlp.kind, widen(x.at[j]) + shift);
      Real slope = widen(d.at[j]) * at.slope;
      if (gated) {
        slope *= widen(up.at[j]);
        to_up.at[j] = static_cast<T>(widen(d.at[j]) * at.value);
      }
      to.at[j] = static_cast<T>(slope);
    }
    store(to, in + i * N);
    if (gated) store(to_up, in + mlp.width + i * N);
  }
};

}  // namespace ration::train::kernels
