#include "merge/cholesky.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace ration::merge {
namespace {

constexpr std::size_t kBlock = 64;        // columns that are eliminated together
constexpr std::size_t kColumns = 256;     // of right-hand sides that a thread takes
constexpr double kSmallestPivot = 1e-12;  // of the diagonal; below it, what is left is rounding

// x . y in four sums, so that additions overlap.
double dot(const double* x, const double* y, std::size_t count) {
  double sums[4] = {};
  std::size_t k = 0;
  for (; k + 4 <= count; k += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += x[k + lane] * y[k + lane];
  for (; k < count; ++k) sums[0] += x[k] * y[k];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

bool cholesky(std::span<double> matrix, std::size_t n, int threads) {
  const auto row = [&](std::size_t i) { return matrix.data() + i * n; };
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    for (std::size_t j = begin; j < end; ++j) {
      for (std::size_t k = begin; k < j; ++k)
        row(j)[k] = (row(j)[k] - dot(row(j), row(k), k)) / row(k)[k];
      const double pivot = row(j)[j] - dot(row(j), row(j), j);
      if (!(pivot > kSmallestPivot * row(j)[j]) || !std::isfinite(pivot)) return false;
      row(j)[j] = std::sqrt(pivot);
    }
    parallel_for(n - end, threads, [&](std::size_t offset) {
      double* const below = row(end + offset);
      for (std::size_t k = begin; k < end; ++k)
        below[k] = (below[k] - dot(below, row(k), k)) / row(k)[k];
    });
  }
  return true;
}

void solve(std::span<const double> factor,
           std::size_t n,
           std::span<double> b,
           std::size_t m,
           int threads) {
  const std::size_t parts = (m + kColumns - 1) / kColumns;
  parallel_for(parts, threads, [&](std::size_t part) {
    const std::size_t first = part * kColumns, last = std::min(first + kColumns, m);
    const auto subtract = [&](std::size_t to, std::size_t from, double scale) {
      double* const x = b.data() + to * m;
      const double* const y = b.data() + from * m;
      for (std::size_t c = first; c < last; ++c) x[c] -= scale * y[c];
    };
    const auto divide = [&](std::size_t i) {
      for (std::size_t c = first; c < last; ++c) b[i * m + c] /= factor[i * n + i];
    };
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < i; ++k) subtract(i, k, factor[i * n + k]);
      divide(i);
    }
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t k = i + 1; k < n; ++k) subtract(i, k, factor[k * n + i]);
      divide(i);
    }
  });
}

}  // namespace ration::merge
