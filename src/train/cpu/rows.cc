#include "train/cpu/rows.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"
#include "train/cpu/exponential.h"
#include "train/cpu/processor.h"

namespace ration::train::cpu {

// Sums of a row are taken in double: half the error that single precision shows in gradients comes
// from them, and they are few.

template <class Real>
void norm_forward(Range rows, const Norm<Real>& norm, const Real* x, Real* out, Real* stats) {
  on_best_processor([=]() __attribute__((always_inline)) {
    const std::int64_t width = norm.width;
    const auto count = static_cast<double>(width);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const Real* in = x + row * width;
      Real* to = out + row * width;
      double sum = 0, square = 0;
      if (norm.centred)
        for (std::int64_t c = 0; c < width; ++c) sum += static_cast<double>(in[c]);
      const auto mean = static_cast<Real>(sum / count);
      for (std::int64_t c = 0; c < width; ++c) {
        const auto centred = static_cast<double>(in[c]) - sum / count;
        square += centred * centred;
      }
      const auto inverse = static_cast<Real>(1 / std::sqrt(square / count + norm.eps));
      stats[2 * row] = mean;
      stats[2 * row + 1] = inverse;
      for (std::int64_t c = 0; c < width; ++c) to[c] = (in[c] - mean) * inverse * norm.gain[c];
      if (norm.bias != nullptr)
        for (std::int64_t c = 0; c < width; ++c) to[c] += norm.bias[c];
    }
  });
}

// With y = (x - mean)/deviation and dy = dout gain:
// dx = (dy - mean(dy) - y mean(dy y))/deviation; without centring there is no mean(dy).
template <class Real>
void norm_backward(Range rows,
                   const Norm<Real>& norm,
                   const Real* x,
                   const Real* stats,
                   const Real* dout,
                   Real* dx,
                   Real* gain_grad,
                   Real* bias_grad) {
  on_best_processor([=]() __attribute__((always_inline)) {
    const std::int64_t width = norm.width;
    const auto count = static_cast<double>(width);
    const Real* gain = norm.gain;
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const Real* in = x + row * width;
      const Real* d = dout + row * width;
      Real* to = dx + row * width;
      const Real mean = stats[2 * row], inverse = stats[2 * row + 1];
      double sum = 0, dot = 0;
      for (std::int64_t c = 0; c < width; ++c) {
        const Real y = (in[c] - mean) * inverse;
        gain_grad[c] += d[c] * y;
        sum += static_cast<double>(d[c] * gain[c]);
        dot += static_cast<double>(d[c] * gain[c] * y);
      }
      const auto along_ones = norm.centred ? static_cast<Real>(sum / count) : Real(0);
      const auto along_y = static_cast<Real>(dot / count);
      for (std::int64_t c = 0; c < width; ++c)
        to[c] += (d[c] * gain[c] - along_ones - (in[c] - mean) * inverse * along_y) * inverse;
      if (bias_grad != nullptr)
        for (std::int64_t c = 0; c < width; ++c) bias_grad[c] += d[c];
    }
  });
}

namespace {

// Each replaces x by the derivative at x and returns the value.
template <class Real>
[[gnu::always_inline]] inline Real relu2(Real& x) {
  const Real positive = std::max(x, Real(0));
  x = 2 * positive;
  return positive * positive;
}

template <class Real>
[[gnu::always_inline]] inline Real silu(Real& x) {
  const Real sigmoid = 1 / (1 + exponential(-x));
  const Real value = x * sigmoid;
  x = sigmoid + value * (1 - sigmoid);
  return value;
}

// 0.5 x (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3)
template <class Real>
[[gnu::always_inline]] inline Real gelu_tanh(Real& x) {
  constexpr Real scale = static_cast<Real>(0.79788456080286535588);  // sqrt(2/pi)
  constexpr Real cubic = static_cast<Real>(0.044715);
  const Real u = scale * (x + cubic * x * x * x);
  const Real tanh_u = 1 - 2 / (exponential(2 * u) + 1);
  const Real value = x * (1 + tanh_u) / 2;
  const Real slope = scale * (1 + 3 * cubic * x * x);
  x = (1 + tanh_u) / 2 + x * (1 - tanh_u * tanh_u) * slope / 2;
  return value;
}

// x P(normal < x), in double: erf is no vector instruction, so that its precision costs nothing.
template <class Real>
[[gnu::always_inline]] inline Real gelu_erf(Real& x) {
  constexpr double peak = std::numbers::inv_sqrtpi / std::numbers::sqrt2;  // density at 0
  const auto at = static_cast<double>(x);
  const double share = (1 + std::erf(at / std::numbers::sqrt2)) / 2;
  x = static_cast<Real>(share + at * peak * std::exp(-at * at / 2));
  return static_cast<Real>(at * share);
}

}  // namespace

Activation activation_of(std::string_view mlp) {
  if (mlp == "swiglu") return Activation::swiglu;
  if (mlp == "relu2") return Activation::relu2;
  return mlp == "gelu_tanh" ? Activation::gelu_tanh : Activation::gelu_erf;
}

template <class Real>
void activate(Range elements, Activation kind, Real* up, Real* gate, Real* out) {
  on_best_processor([=]() __attribute__((always_inline)) {
    switch (kind) {
      case Activation::swiglu:
        for (std::int64_t i = elements.begin; i < elements.end; ++i) {
          Real slope = gate[i];
          const Real value = silu(slope);
          out[i] = value * up[i];
          gate[i] = slope * up[i];
          up[i] = value;
        }
        return;
      case Activation::relu2:
        for (std::int64_t i = elements.begin; i < elements.end; ++i) out[i] = relu2(up[i]);
        return;
      case Activation::gelu_tanh:
        for (std::int64_t i = elements.begin; i < elements.end; ++i) out[i] = gelu_tanh(up[i]);
        return;
      case Activation::gelu_erf:
        for (std::int64_t i = elements.begin; i < elements.end; ++i) out[i] = gelu_erf(up[i]);
        return;
    }
  });
}

template <class Real>
void activation_backward(Range elements, const Real* dout, Real* up, Real* gate) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = elements.begin; i < elements.end; ++i) up[i] *= dout[i];
    if (gate != nullptr)
      for (std::int64_t i = elements.begin; i < elements.end; ++i) gate[i] *= dout[i];
  });
}

namespace {

template <class Real>
[[gnu::always_inline]] inline Real factor(std::uint64_t key,
                                          std::uint64_t element,
                                          std::uint64_t dropped_below,
                                          Real kept) {
  return mix(key + element * kStreamStride) >> 11 < dropped_below ? Real(0) : kept;
}

// The draws below this number of the 2^53 possible ones are dropped.
std::uint64_t dropped_below(const Mask& mask) {
  return static_cast<std::uint64_t>(std::ceil(mask.probability * 0x1.0p53));
}

}  // namespace

template <class Real>
void mask_factors(const Mask& mask, std::uint64_t first, std::int64_t n, Real* out) {
  const std::uint64_t limit = dropped_below(mask), key = mask.key;
  const auto kept = static_cast<Real>(1 / (1 - mask.probability));
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = 0; i < n; ++i)
      out[i] = factor(key, first + static_cast<std::uint64_t>(i), limit, kept);
  });
}

template <class Real>
void apply_mask(const Mask& mask, std::uint64_t first, std::int64_t n, Real* values) {
  const std::uint64_t limit = dropped_below(mask), key = mask.key;
  const auto kept = static_cast<Real>(1 / (1 - mask.probability));
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = 0; i < n; ++i)
      values[i] *= factor(key, first + static_cast<std::uint64_t>(i), limit, kept);
  });
}

template <class Real>
void scale(Range elements, Real factor, Real* x) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = elements.begin; i < elements.end; ++i) x[i] *= factor;
  });
}

template <class Real>
void add(Range elements, const Real* a, const Real* b, Real* out) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t i = elements.begin; i < elements.end; ++i) out[i] = a[i] + b[i];
  });
}

template <class Real>
void add_bias(Range rows, std::int64_t width, const Real* bias, Real* x) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t row = rows.begin; row < rows.end; ++row)
      for (std::int64_t c = 0; c < width; ++c) x[row * width + c] += bias[c];
  });
}

template <class Real>
void add_column_sums(Range rows, std::int64_t width, const Real* x, Real* sums) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t row = rows.begin; row < rows.end; ++row)
      for (std::int64_t c = 0; c < width; ++c) sums[c] += x[row * width + c];
  });
}

template <class Real>
void cross_entropy(Range rows,
                   const CrossEntropy& options,
                   const std::int64_t* targets,
                   Real* logits,
                   double* losses) {
  on_best_processor([=]() __attribute__((always_inline)) {
    const std::int64_t vocab = options.vocab;
    const auto weight = static_cast<Real>(options.weight);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      Real* z = logits + row * options.stride;
      const Real target_logit = z[targets[row]];
      const Real largest = largest_of(z, vocab);
      Real sum = 0;
      for (std::int64_t v = 0; v < vocab; ++v) {
        const Real e = exponential(z[v] - largest);
        z[v] = e;
        sum += e;
      }
      const double log_sum = static_cast<double>(largest) + std::log(static_cast<double>(sum));
      losses[row] = log_sum - static_cast<double>(target_logit);
      if (weight == 0) continue;
      const auto share = static_cast<Real>(
          options.weight * (1 + 2 * options.square_weight * log_sum) / static_cast<double>(sum));
      for (std::int64_t v = 0; v < vocab; ++v) z[v] *= share;
      z[targets[row]] -= weight;
    }
  });
}

template void norm_forward<float>(Range, const Norm<float>&, const float*, float*, float*);
template void norm_forward<double>(Range, const Norm<double>&, const double*, double*, double*);
template void norm_backward<float>(
    Range, const Norm<float>&, const float*, const float*, const float*, float*, float*, float*);
template void norm_backward<double>(Range,
                                    const Norm<double>&,
                                    const double*,
                                    const double*,
                                    const double*,
                                    double*,
                                    double*,
                                    double*);
template void activate<float>(Range, Activation, float*, float*, float*);
template void activate<double>(Range, Activation, double*, double*, double*);
template void activation_backward<float>(Range, const float*, float*, float*);
template void activation_backward<double>(Range, const double*, double*, double*);
template void mask_factors<float>(const Mask&, std::uint64_t, std::int64_t, float*);
template void mask_factors<double>(const Mask&, std::uint64_t, std::int64_t, double*);
template void apply_mask<float>(const Mask&, std::uint64_t, std::int64_t, float*);
template void apply_mask<double>(const Mask&, std::uint64_t, std::int64_t, double*);
template void scale<float>(Range, float, float*);
template void scale<double>(Range, double, double*);
template void add<float>(Range, const float*, const float*, float*);
template void add<double>(Range, const double*, const double*, double*);
template void add_bias<float>(Range, std::int64_t, const float*, float*);
template void add_bias<double>(Range, std::int64_t, const double*, double*);
template void add_column_sums<float>(Range, std::int64_t, const float*, float*);
template void add_column_sums<double>(Range, std::int64_t, const double*, double*);
template void cross_entropy<float>(
    Range, const CrossEntropy&, const std::int64_t*, float*, double*);
template void cross_entropy<double>(
    Range, const CrossEntropy&, const std::int64_t*, double*, double*);

}  // namespace ration::train::cpu
