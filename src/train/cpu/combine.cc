#include "train/cpu/combine.h"

#include <algorithm>

#include "train/cpu/processor.h"

namespace ration::train::cpu {
namespace {

constexpr std::int64_t kPiece = 512;  // numbers of a row: of 16 rows, they fill a first cache

}  // namespace

// Four rows of b at a time, so that an element of c is loaded and saved a quarter as often.
template <class Real>
void combine(std::int64_t m,
             std::int64_t n,
             std::int64_t k,
             Left<Real> a,
             RowMajor<const Real> b,
             RowMajor<Real> c,
             Store store) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t first = 0; first < n; first += kPiece) {
      const std::int64_t length = std::min(kPiece, n - first);
      for (std::int64_t i = 0; i < m; ++i) {
        Real* __restrict out = c.data + i * c.stride + first;
        if (store == Store::replace) std::fill_n(out, length, Real(0));
        const Real* weight = a.data + i * a.row_stride;
        const Real* row = b.data + first;
        std::int64_t j = 0;
        for (; j + 4 <= k; j += 4, row += 4 * b.stride, weight += 4 * a.column_stride) {
          const Real w0 = weight[0], w1 = weight[a.column_stride], w2 = weight[2 * a.column_stride],
                     w3 = weight[3 * a.column_stride];
          const Real *r0 = row, *r1 = row + b.stride, *r2 = row + 2 * b.stride,
                     *r3 = row + 3 * b.stride;
          for (std::int64_t l = 0; l < length; ++l)
            out[l] = out[l] + w0 * r0[l] + w1 * r1[l] + w2 * r2[l] + w3 * r3[l];
        }
        for (; j < k; ++j, row += b.stride, weight += a.column_stride) {
          const Real w = weight[0];
          for (std::int64_t l = 0; l < length; ++l) out[l] += w * row[l];
        }
      }
    }
  });
}

template <class Real>
void add_dots(std::int64_t m,
              std::int64_t n,
              std::int64_t k,
              RowMajor<const Real> a,
              RowMajor<const Real> b,
              RowMajor<Real> c) {
  on_best_processor([=]() __attribute__((always_inline)) {
    for (std::int64_t first = 0; first < k; first += kPiece) {
      const std::int64_t length = std::min(kPiece, k - first);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          const Real* x = a.data + i * a.stride + first;
          const Real* y = b.data + j * b.stride + first;
          Real sum = 0;
          for (std::int64_t l = 0; l < length; ++l) sum += x[l] * y[l];
          c.data[i * c.stride + j] += sum;
        }
    }
  });
}

template void combine<float>(std::int64_t,
                             std::int64_t,
                             std::int64_t,
                             Left<float>,
                             RowMajor<const float>,
                             RowMajor<float>,
                             Store);
template void combine<double>(std::int64_t,
                              std::int64_t,
                              std::int64_t,
                              Left<double>,
                              RowMajor<const double>,
                              RowMajor<double>,
                              Store);
template void add_dots<float>(std::int64_t,
                              std::int64_t,
                              std::int64_t,
                              RowMajor<const float>,
                              RowMajor<const float>,
                              RowMajor<float>);
template void add_dots<double>(std::int64_t,
                               std::int64_t,
                               std::int64_t,
                               RowMajor<const double>,
                               RowMajor<const double>,
                               RowMajor<double>);

}  // namespace ration::train::cpu
