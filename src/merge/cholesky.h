#pragma once

// Symmetric positive definite systems of RegMean's size, without a library of linear algebra.
// Internal to the room.

#include <cstddef>
#include <span>

namespace ration::merge {

// Replaces the lower triangle of the n x n row-major `matrix` by its Cholesky factor. False, with
// the matrix spoilt, where it is not positive definite beyond 1e-12 of its diagonal. n^3 / 3
// multiplications.
bool cholesky(std::span<double> matrix, std::size_t n, int threads);

// Solves factor factor^T x = b for the columns of b [n, m], row-major, in place. n^2 m
// multiplications, shared by the threads over columns.
void solve(
    std::span<const double> factor, std::size_t n, std::span<double> b, std::size_t m, int threads);

}  // namespace ration::merge
