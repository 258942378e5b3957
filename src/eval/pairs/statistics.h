#pragma once

// What a share of right answers may claim.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ration::eval {

struct Interval {
  double low = 0;
  double high = 0;
};

// Wilson's 95 % interval of a proportion (1927), z = 1.959963984540054; half answers count half.
// NaN without items.
Interval wilson(double correct, double n);

// The exact two-sided test of McNemar (1947) over items that one checkpoint alone gets right: a
// binomial test of one half. 1 without any.
double mcnemar(std::int64_t only_first, std::int64_t only_second);

double median(std::vector<double> values);  // the mean of the two in the middle; NaN of none

struct ClusterDraws {
  std::int64_t draws =
      2000;  // 100 to 1e6; the ends of 95 % then move by a few percent of its width
  std::uint64_t seed = 0;
};

// Items of one document are no independent ones, so documents are resampled: draw d takes as many
// of `clusters` as there are, with replacement, by Stream(seed, StreamId::resampling, d).
// `statistic` gets how often each was taken, and writes one value for each of `values` numbers;
// the result is the percentile interval of each, 2.5 % to 97.5 %, draws where it is NaN left out.
// Fewer than two documents have none (NaN).
using ClusterStatistic =
    std::function<void(std::span<const double> counts, std::span<double> values)>;
std::vector<Interval> cluster_bootstrap(std::size_t clusters,
                                        std::size_t values,
                                        const ClusterStatistic& statistic,
                                        const ClusterDraws& how);

}  // namespace ration::eval
