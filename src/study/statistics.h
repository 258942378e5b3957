#pragma once

// What a comparison of trained models may claim: intervals over corpora and seeds, exact tests, and
// what many tests at once are worth. Nothing here knows what the numbers are. Same input, same
// seed: same bytes.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"

namespace ration::study {

// A mean or another statistic, with the ends of its interval; NaN where there is none.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
  double p = 1;  // two-sided, of no difference from 0

  // The interval leaves out 0.
  bool differs() const { return low > 0 || high < 0; }
};

double mean(std::span<const double> values);       // NaN without values
double deviation(std::span<const double> values);  // of a sample (n - 1); NaN below two values

// Student's t for the mean of paired differences. Fewer than two values have no interval; equal
// ones have one of no width, and p = 0 unless they are 0.
Estimate paired_t(std::span<const double> differences, double level = 0.95);

// The exact two-sided sign test of wins against losses, ties left out: 1 without either.
double sign_test(std::int64_t wins, std::int64_t losses);

// P(x < y) + P(x = y)/2 over all pairs, the Mann-Whitney statistic over n_x n_y: how often one of x
// has the lower loss. A loss of NaN is worse than any. NaN where either is empty.
double probability_lower(std::span<const double> x, std::span<const double> y);

// Holm's adjusted p values, in the order given; they keep the rate of any false claim. NaN, a test
// that was not made, stays NaN and does not count.
std::vector<double> holm(std::span<const double> p);

// The slope of y in x by weighted least squares; NaN where x does not vary. Empty weights are 1.
double slope(std::span<const double> x, std::span<const double> y, std::span<const double> weights);
double weighted_mean(std::span<const double> values, std::span<const double> weights);

struct Bootstrap {
  std::int64_t draws = 10'000;  // 100 to 1e6
  double level = 0.95;          // of the interval
  std::uint64_t seed = 0;
};

// Rows under crossed factors, such as corpus and seed: factors[f][row] is the row's level of factor
// f. Each draw resamples the levels of every factor on its own, and a row counts as often as the
// product of its levels' counts (Owen: The pigeonhole bootstrap; 2007, a bound from above of the
// variance). `statistic` takes the weights of the rows; draws where it is NaN are left out.
//
// The interval is the percentile one, widened about the value to Student's t, and p is that of the
// same t with the draws' deviation as error. Degrees of freedom follow from how much of the
// variance each factor has (Satterthwaite), between those of the smallest and the sum of all. Plain
// percentiles would claim too much: three corpora of one sign would have p = 2/(draws + 1). Without
// a factor of two levels there is neither. A quarter of the draws again is spent on each factor.
Estimate crossed_bootstrap(const std::vector<std::vector<std::size_t>>& factors,
                           const std::function<double(std::span<const double> weights)>& statistic,
                           const Bootstrap& how = {});

// Of the mean over groups (corpora) of the mean within each (seeds): each draw resamples groups,
// and within each chosen one its values. Groups without values are left out. Interval and p are
// widened as above, to as many degrees of freedom as there are groups less one.
Estimate nested_bootstrap(const std::vector<std::vector<double>>& groups,
                          const Bootstrap& how = {});

}  // namespace ration::study
