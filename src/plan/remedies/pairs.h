#pragma once

// Runs of remedies beside the runs of the baseline that they are compared with. Private to the
// folder.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "plan/remedies/price.h"

namespace ration::plan {

// All pairs of one arm at one baseline setting.
struct Pairs {
  const Arm* arm = nullptr;
  std::string size;
  Setting baseline;
  std::size_t cell = 0;             // number of the setting: arms of one cell share their draws
  std::vector<std::int64_t> seeds;  // ascending
  std::vector<double> differences;  // of the loss, by seed
  std::vector<double> scores;       // differences of the task's score, of the pairs that have both
  double tokens = 0;                // mean seen by the arm's runs
  double flops = 0, donors = 0;     // means of the arm's runs
  double baseline_flops = 0;        // mean of their partners
};

// Scores of the baseline's runs of one size and length, by unique tokens.
using Scores = std::map<double, std::vector<double>>;

struct Matched {
  std::vector<Pairs> pairs;  // by N, size, arm, D, U
  std::vector<std::string> notes;
};

// A run's partner has its size, unique tokens and seed, and of those the nearest number of tokens.
// Errors: as in price().
Result<Matched> match(std::span<const RemedyRun> runs,
                      const std::string& baseline,
                      std::span<const Arm> arms);

Scores scores_of(std::span<const RemedyRun> runs,
                 const std::string& baseline,
                 const std::string& size,
                 Tokens tokens);

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
