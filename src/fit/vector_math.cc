// Compiled with -ffast-math (CMakeLists.txt), which lets the compiler call the vector functions of
// the C library and reorder sums. Nothing else is: tests for NaN and infinity need the standard's
// arithmetic.

#include "fit/vector_math.h"

#include <cmath>

// One version for the processors of the last ten years, one for all others. The sanitizers cannot
// bear functions that are chosen before the program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define RATION_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RATION_VECTORISED
#endif

namespace ration::fit {
namespace {

RATION_VECTORISED void exp_loop(const double* x, double* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = std::exp(x[i]);
}

RATION_VECTORISED void log_loop(const double* x, double* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = std::log(x[i]);
}

RATION_VECTORISED void expm1_loop(const double* x, double* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = std::expm1(x[i]);
}

RATION_VECTORISED void sum_exp_loop(
    double* x, double* y, double c, double* log_sum, double* share_c, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double ex = std::exp(x[i]);
    const double ey = std::exp(y[i]);
    const double sum = ex + ey + c;
    const double inverse = 1 / sum;
    x[i] = ex * inverse;
    y[i] = ey * inverse;
    share_c[i] = c * inverse;
    log_sum[i] = std::log(sum);
  }
}

// Four products at a time keep the processor's adders busy.
RATION_VECTORISED void products(
    const double* columns, std::size_t n, std::size_t p, const double* v, double* out) {
  std::size_t j = 0;
  for (; j + 4 <= p; j += 4) {
    const double* a = columns + j * n;
    const double* b = a + n;
    const double* c = b + n;
    const double* d = c + n;
    double sa = 0, sb = 0, sc = 0, sd = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sa += a[i] * v[i];
      sb += b[i] * v[i];
      sc += c[i] * v[i];
      sd += d[i] * v[i];
    }
    out[j] = sa, out[j + 1] = sb, out[j + 2] = sc, out[j + 3] = sd;
  }
  for (; j < p; ++j) {
    const double* a = columns + j * n;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += a[i] * v[i];
    out[j] = sum;
  }
}

RATION_VECTORISED void multiply(const double* x, const double* w, double* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = x[i] * w[i];
}

}  // namespace

void exp_all(std::span<const double> x, std::span<double> y) {
  exp_loop(x.data(), y.data(), x.size());
}

void log_all(std::span<const double> x, std::span<double> y) {
  log_loop(x.data(), y.data(), x.size());
}

void expm1_all(std::span<const double> x, std::span<double> y) {
  expm1_loop(x.data(), y.data(), x.size());
}

void sum_exp_all(std::span<double> x,
                 std::span<double> y,
                 double c,
                 std::span<double> log_sum,
                 std::span<double> share_c) {
  sum_exp_loop(x.data(), y.data(), c, log_sum.data(), share_c.data(), x.size());
}

void multiply_all(std::span<const double> x, std::span<const double> w, std::span<double> y) {
  multiply(x.data(), w.data(), y.data(), x.size());
}

double dot(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  products(x.data(), x.size(), 1, y.data(), &sum);
  return sum;
}

void weighted_gram(std::span<const double> jacobian,
                   std::span<const double> w,
                   std::span<double> scratch,
                   std::span<double> gram) {
  const std::size_t n = w.size();
  const std::size_t p = jacobian.size() / n;
  for (std::size_t j = 0; j < p; ++j) {
    multiply(&jacobian[j * n], w.data(), &scratch[j * n], n);
    products(&jacobian[j * n], n, p - j, &scratch[j * n], &gram[j * p + j]);
    for (std::size_t k = j + 1; k < p; ++k) gram[k * p + j] = gram[j * p + k];
  }
}

void transposed_product(std::span<const double> jacobian,
                        std::span<const double> v,
                        std::span<double> product) {
  products(jacobian.data(), v.size(), product.size(), v.data(), product.data());
}

}  // namespace ration::fit
