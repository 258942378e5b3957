#pragma once

// Means of paired differences: bootstraps, Student's t, many tests at once. Private to the folder.

#include <span>
#include <vector>

#include "plan/remedies/price.h"

namespace ration::plan {

// Means of `draws` bootstrap samples, stretched about the mean so that their percentiles at `level`
// are as far as Student's t asks for (with n values they would spread by sqrt((n-1)/n) of what is
// due, and as a normal: Hesterberg, "What Teachers Should Know About the Bootstrap", 2015). Draw b
// depends on (seed, cell, b) and the number of values alone. One value has no spread.
std::vector<double> bootstrap_means(std::span<const double> values,
                                    const PriceOptions& options,
                                    std::size_t cell);

double mean_of(std::span<const double> values);       // NaN without values
double deviation_of(std::span<const double> values);  // n - 1; 0 below two values

// Median and the interval of level `options.level` of the draws, which may be infinite: such ends
// are nothing. NaN are left out.
Amount amount_of(std::vector<double> draws, double level);

// Of the mean, by Student's t.
Amount student(std::span<const double> values, double level);

// Two-sided p of a value with a standard error of so many degrees of freedom, of no difference from
// 0; 1 below one degree.
double p_of(double value, double error, double freedom);

// Holm's adjustment of `p`, in their order.
std::vector<double> holm(std::span<const double> p);

// The standard normal's quantile of the upper end of an interval.
double normal_reach(double level);

}  // namespace ration::plan
