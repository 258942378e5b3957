#pragma once

// Elementary functions and sums over arrays, several numbers at a time: nearly all the time of a
// fit is spent here. Errors are within 4 units in the last place. The instructions that the
// processor has are chosen at start-up, so that results may differ between kinds of processors in
// the last digits, never from call to call.

#include <cstddef>
#include <span>

namespace ration::fit {

// y[i] = f(x[i]); x and y have equal sizes and are the same array or do not overlap. exp_all gives
// 0 for -infinity and infinity where the result has no finite value; log_all needs x > 0, and
// expm1_all finite x.
void exp_all(std::span<const double> x, std::span<double> y);
void log_all(std::span<const double> x, std::span<double> y);
void expm1_all(std::span<const double> x, std::span<double> y);

// J' diag(w) J of a matrix in columns of `rows` numbers: p x p numbers, both triangles filled.
// p = jacobian.size() / w.size(). `scratch` needs the size of `jacobian`.
void weighted_gram(std::span<const double> jacobian,
                   std::span<const double> w,
                   std::span<double> scratch,
                   std::span<double> gram);

// J' v: p numbers.
void transposed_product(std::span<const double> jacobian,
                        std::span<const double> v,
                        std::span<double> product);

}  // namespace ration::fit
