#pragma once

// Matrix products of sizes that fit a core's cache, where a general library spends its time on
// preparations. Large products belong to LibTorch.

#include <cstdint>

namespace ration::train::cpu {

// The left operand [m,k]; any strides, so that a transposed matrix needs no copy.
template <class Real>
struct Left {
  const Real* data;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

// A row-major matrix whose rows lie `stride` elements apart.
template <class Real>
struct RowMajor {
  Real* data;
  std::int64_t stride;
};

enum class Store { replace, add };

// c [m,n] = or += a [m,k] b [k,n]. The order of the sums depends on the shapes alone. c must not
// overlap a or b.
template <class Real>
void product(std::int64_t m,
             std::int64_t n,
             std::int64_t k,
             Left<Real> a,
             RowMajor<const Real> b,
             RowMajor<Real> c,
             Store store);

// out [columns,rows] = in [rows,columns] transposed; rows of `out` lie `stride` elements apart.
template <class Real>
void transpose(
    std::int64_t rows, std::int64_t columns, const Real* in, Real* out, std::int64_t stride);

}  // namespace ration::train::cpu
