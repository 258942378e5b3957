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

template <class Real>
RATION_BOTH inline ValueSlope<Real> silu(Real x) {
  const Real sigmoid = 1 / (1 + std::exp(-x));
  return {x * sigmoid, sigmoid + x * sigmoid * (1 - sigmoid)};
}

template <class Real>
RATION_BOTH inline ValueSlope<Real> relu2(Real x) {
  const Real positive = x > 0 ? x : (x <= 0 ? Real(0) : x);  // NaN stays NaN
  return {positive * positive, 2 * positive};
}

// x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3)
template <class Real>
RATION_BOTH inline ValueSlope<Real> gelu_tanh(Real x) {
  constexpr Real scale = static_cast<Real>(0.79788456080286535588);  // sqrt(2/pi)
  constexpr Real cubic = static_cast<Real>(0.044715);
  const Real t = std::tanh(scale * (x + cubic * x * x * x));
  const Real slope = scale * (1 + 3 * cubic * x * x);
  return {x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) * slope / 2};
}

// x P(normal < x)
template <class Real>
RATION_BOTH inline ValueSlope<Real> gelu_erf(Real x) {
  constexpr Real root_half = static_cast<Real>(0.70710678118654752440);
  constexpr Real peak = static_cast<Real>(0.39894228040143267794);  // density of a normal at 0
  const Real share = (1 + std::erf(x * root_half)) / 2;
  return {x * share, share + x * peak * std::exp(-x * x / 2)};
}

template <class Real>
RATION_BOTH inline ValueSlope<Real> activation(Activation kind, Real x) {
  switch (kind) {
    case Activation::swiglu:
      return silu(x);
    case Activation::relu2:
      return relu2(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::gelu_erf:
      break;
  }
  return gelu_erf(x);
}

template <class T>
struct MlpRows {
  Rows rows;
  std::int64_t width = 0;  // F
  Activation kind = Activation::relu2;
  const Wide<T>* bias = nullptr;  // [F] of run 0, or none; none with swiglu
  std::int64_t stride = 0;        // from the bias of one run to the next
};

// out [rows,F] = act(before + bias), or silu(gate) * up.
template <class T>
struct Activate {
  static constexpr int kThreads = 128;
  using Real = Wide<T>;

  MlpRows<T> mlp;
  const T* before = nullptr;
  T* out = nullptr;

  std::int64_t blocks() const { return mlp.rows.count; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t row) const {
    if (mlp.width % kPack<T> == 0)
      in_packs<kPack<T>>(block, row);
    else
      in_packs<1>(block, row);
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t row) const {
    const bool gated = mlp.kind == Activation::swiglu;
    const T* in = before + row * mlp.width * (gated ? 2 : 1);
    const Real* bias = mlp.bias == nullptr ? nullptr : mlp.bias + mlp.rows.run_of(row) * mlp.stride;
    block.each(mlp.width / N, [&](std::int64_t i) {
      const Pack<T, N> x = load<N>(in + i * N);
      Pack<T, N> up{}, to;
      if (gated) up = load<N>(in + mlp.width + i * N);
      for (int j = 0; j < N; ++j) {
        const Real shift = bias == nullptr ? Real(0) : bias[i * N + j];
        Real value = activation(mlp.kind, widen(x.at[j]) + shift).value;
        if (gated) value *= widen(up.at[j]);
        to.at[j] = static_cast<T>(value);
      }
      store(to, out + row * mlp.width + i * N);
    });
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

  std::int64_t blocks() const { return mlp.rows.count; }
  std::int64_t scratch_bytes() const { return 0; }

  template <class Block>
  RATION_BOTH void operator()(const Block& block, std::int64_t row) const {
    if (mlp.width % kPack<T> == 0)
      in_packs<kPack<T>>(block, row);
    else
      in_packs<1>(block, row);
  }

  template <int N, class Block>
  RATION_BOTH void in_packs(const Block& block, std::int64_t row) const {
    const bool gated = mlp.kind == Activation::swiglu;
    T* in = before + row * mlp.width * (gated ? 2 : 1);
    const Real* bias = mlp.bias == nullptr ? nullptr : mlp.bias + mlp.rows.run_of(row) * mlp.stride;
    block.each(mlp.width / N, [&](std::int64_t i) {
      const Pack<T, N> x = load<N>(in + i * N), d = load<N>(dout + row * mlp.width + i * N);
      Pack<T, N> up{}, to, to_up{};
      if (gated) up = load<N>(in + mlp.width + i * N);
      for (int j = 0; j < N; ++j) {
        const Real shift = bias == nullptr ? Real(0) : bias[i * N + j];
        const ValueSlope<Real> at = activation(mlp.kind, widen(x.at[j]) + shift);
        Real slope = widen(d.at[j]) * at.slope;
        if (gated) {
          slope *= widen(up.at[j]);
          to_up.at[j] = static_cast<T>(widen(d.at[j]) * at.value);
        }
        to.at[j] = static_cast<T>(slope);
      }
      store(to, in + i * N);
      if (gated) store(to_up, in + mlp.width + i * N);
    });
  }
};

}  // namespace ration::train::kernels
