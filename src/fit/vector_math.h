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

// ln(exp(x) + exp(y) + c), and in place of x and y the shares that exp(x) and exp(y) have in the
// sum; the share of c > 0 beside them. x and y may be at most 700.
void sum_exp_all(std::span<double> x,
                 std::span<double> y,
                 double c,
                 std::span<double> log_sum,
                 std::span<double> share_c);

// y[i] = w[i] x[i], and the sum of x[i] y[i].
void multiply_all(std::span<const double> x, std::span<const double> w, std::span<double> y);
double dot(std::span<const double> x, std::span<const double> y);

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
