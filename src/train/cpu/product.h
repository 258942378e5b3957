#pragma once

// Matrix products of the shapes of a decoder: small ones without the preparations of a general
// library, larger ones in parts that fit a core's cache.

#include <cstdint>
#include <string_view>

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

// What the kernels that run here are compiled for: "AVX-512", "AVX2" or "plain x86-64", as in event
// logs.
std::string_view vectors();

// True where that is AVX2 or AVX-512.
bool has_wide_vectors();

enum class Store { replace, add };

// c [m,n] = or += a [m,k] b [k,n]. Each element is summed in the order of k, with Store::add in
// parts of k of equal length whose sums are added to c one after the other; that depends on the
// shapes alone. c must not overlap a or b.
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
