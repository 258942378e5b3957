#pragma once

// Products in which one side is a handful of rows much longer than they are many, such as all
// weights of several experts: read once, in pieces that stay in the first cache.

#include <cstdint>

#include "train/cpu/product.h"

namespace ration::train::cpu {

// c [m,n] = or += a [m,k] b [k,n], n large. Each element is summed in the order of k.
template <class Real>
void combine(std::int64_t m,
             std::int64_t n,
             std::int64_t k,
             Left<Real> a,
             RowMajor<const Real> b,
             RowMajor<Real> c,
             Store store);

// c [m,n] += a [m,k] b' with b [n,k], k large. Summed in parts of fixed length, in order.
template <class Real>
void add_dots(std::int64_t m,
              std::int64_t n,
              std::int64_t k,
              RowMajor<const Real> a,
              RowMajor<const Real> b,
              RowMajor<Real> c);

}  // namespace ration::train::cpu
