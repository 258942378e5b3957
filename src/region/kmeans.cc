#include "region/kmeans.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace ration::region {
namespace {

constexpr std::uint64_t kStarts = 50;
constexpr int kRounds = 300;  // Lloyd's steps; it seldom takes 20

class Lloyd {
 public:
  Lloyd(std::span<const double> points, std::size_t dimensions, std::size_t k)
      : points_(points), dimensions_(dimensions), count_(points.size() / dimensions), k_(k) {}

  // Sum of squared distances.
  double run(Stream stream) {
    choose_means(stream);
    of.assign(count_, 0);
    double sum = assign();
    for (int round = 0; round < kRounds; ++round) {
      move_means();
      const std::vector<std::size_t> before = of;
      sum = assign();
      if (of == before) break;
    }
    return sum;
  }

  std::vector<std::size_t> of;

 private:
  std::span<const double> point(std::size_t i) const {
    return points_.subspan(i * dimensions_, dimensions_);
  }
  double square(std::size_t i, const std::vector<double>& mean) const {
    double sum = 0;
    for (std::size_t d = 0; d < dimensions_; ++d)
      sum += (point(i)[d] - mean[d]) * (point(i)[d] - mean[d]);
    return sum;
  }

  // Each next mean is a point drawn by its squared distance to the nearest mean so far.
  void choose_means(Stream& stream) {
    means_.clear();
    std::vector<double> nearest(count_, 1);
    while (means_.size() < k_) {
      const double all = std::accumulate(nearest.begin(), nearest.end(), 0.0);
      if (!(all > 0)) return;  // every point is a mean
      double left = stream.uniform() * all;
      std::size_t chosen = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        if (!(nearest[i] > 0)) continue;
        chosen = i;
        if ((left -= nearest[i]) < 0) break;
      }
      means_.emplace_back(point(chosen).begin(), point(chosen).end());
      for (std::size_t i = 0; i < count_; ++i) {
        const double here = square(i, means_.back());
        nearest[i] = means_.size() == 1 ? here : std::min(nearest[i], here);
      }
    }
  }

  double assign() {
    double sum = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t c = 0; c < means_.size(); ++c)
        if (const double here = square(i, means_[c]); here < least) least = here, of[i] = c;
      sum += least;
    }
    return sum;
  }

  void move_means() {
    for (std::size_t c = 0; c < means_.size(); ++c) {
      std::vector<double> sum(dimensions_);
      double members = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        if (of[i] != c) continue;
        ++members;
        for (std::size_t d = 0; d < dimensions_; ++d) sum[d] += point(i)[d];
      }
      if (members == 0) continue;  // it stays, and may win points back
      for (double& number : sum) number /= members;
      means_[c] = std::move(sum);
    }
  }

  std::span<const double> points_;
  std::size_t dimensions_, count_, k_;
  std::vector<std::vector<double>> means_;
};

}  // namespace

std::vector<std::size_t> k_means(std::span<const double> points,
                                 std::size_t dimensions,
                                 std::size_t k,
                                 std::uint64_t seed) {
  Lloyd lloyd(points, dimensions, k);
  double best = std::numeric_limits<double>::infinity();
  std::vector<std::size_t> of;
  for (std::uint64_t start = 0; start < kStarts; ++start) {
    const double sum = lloyd.run(Stream(seed, StreamId::clusters, start));
    if (!(sum < best)) continue;
    best = sum;
    of = lloyd.of;
  }
  return of;
}

}  // namespace ration::region
