// The nearest point of a convex hull, from distances alone.

#include <algorithm>
#include <cmath>
#include <limits>

#include "region/corral.h"
#include "region/hull.h"

namespace ration::region {
namespace {

using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

// Cosine of the angle by which a member must lie nearer than the point found, to be worth a step.
constexpr double kSteep = 1e-11;
constexpr int kVain = 10;  // steps that may bring nothing but rounding

// Wolfe's method for v_i = tau_i - tau, as w_i v_i = a_i (v_i / |v_i|): lengths that differ by
// many powers of ten cost no digits so. Where x = sum w_i v_i, x . v_j >= x . x for all j at the
// nearest point.
class Wolfe {
 public:
  Wolfe(const Matrix& cosines, const Vector& lengths)
      : cosines_(cosines),
        lengths_(lengths),
        corral_(cosines, lengths),
        barred_(Vector::Zero(lengths.size())) {
    Index nearest = 0;
    lengths.minCoeff(&nearest);
    corral_.join(nearest);
    take(Vector::Unit(lengths.size(), nearest) * lengths[nearest]);
  }

  void solve() {
    const auto rounds = 100 + 10 * lengths_.size();  // far more than it takes: see hull_test
    for (Index round = 0; round < rounds && vain_ < kVain; ++round) {
      const std::optional<Index> steepest = this->steepest();
      if (!steepest) return;
      if (corral_.join(*steepest) && descend()) {
        barred_.setZero();
        continue;
      }
      barred_[*steepest] = 1;
      ++vain_;
      restore();
    }
  }

  Vector a;           // of the best point
  Vector along;       // v_j . x / |v_j| of it
  double square = 0;  // x . x

 private:
  void take(const Vector& found) {
    a = found;
    along = cosines_ * a;
    square = std::max(0.0, a.dot(along));
  }

  // The member towards which the distance falls fastest.
  std::optional<Index> steepest() const {
    if (!(square > 0)) return std::nullopt;
    std::optional<Index> best;
    double most = kSteep;
    for (Index j = 0; j < lengths_.size(); ++j) {
      if (barred_[j] != 0 || a[j] > 0) continue;
      const double fall = square - lengths_[j] * along[j];
      const double way = lengths_[j] * lengths_[j] - 2 * lengths_[j] * along[j] + square;
      if (!(fall > 0) || !(way > 0)) continue;
      const double cosine = fall / std::sqrt(way * square);
      if (cosine > most) most = cosine, best = j;
    }
    return best;
  }

  // The members of the best point in use again.
  void restore() {
    corral_.clear();
    for (Index j = 0; j < lengths_.size(); ++j)
      if (a[j] > 0) corral_.join(j);
  }

  // To the least point over the members in use, each weight staying positive: one that would not
  // leaves on the way. The best point is kept. False where rounding leaves none.
  bool descend() {
    Vector now = a;
    while (!corral_.used().empty()) {
      const std::optional<Vector> goal = corral_.affine_least();
      if (!goal) return false;
      const std::vector<Index> used = corral_.used();
      double part = 1;
      std::size_t first = used.size();
      for (std::size_t i = 0; i < used.size(); ++i) {
        const double from = now[used[i]], to = (*goal)[static_cast<Index>(i)] * lengths_.minCoeff();
        if (to <= 0 && from / (from - to) < part) part = from / (from - to), first = i;
      }
      for (std::size_t i = 0; i < used.size(); ++i) {
        double& share = now[used[i]];
        share += part * ((*goal)[static_cast<Index>(i)] * lengths_.minCoeff() - share);
      }
      if (first == used.size()) break;
      now[used[first]] = 0;
      corral_.leave(first);
    }
    now = now.cwiseMax(0);
    const double sum = now.dot(lengths_.cwiseInverse());
    if (!(sum > 0)) return false;
    const Vector last = a;
    const double before = square;
    take(now / sum);
    if (square < before) return true;
    take(last);
    return false;
  }

  const Matrix& cosines_;
  const Vector& lengths_;
  Corral corral_;
  Vector barred_;
  int vain_ = 0;
};

Error beyond() {
  return {.kind = ErrorKind::input,
          .what = "distances between the models are beyond the range of numbers",
          .hint = "leave out the model whose weights are that large"};
}

Nearest summed(Nearest nearest, double square) {
  nearest.relative =
      square > 0 ? nearest.distance / std::sqrt(square) : std::numeric_limits<double>::quiet_NaN();
  return nearest;
}

}  // namespace

Result<Nearest> nearest_in_hull(const Squares& squares, double square) {
  const std::size_t n = squares.to.size();
  if (n == 0 || squares.between.size() != n * n)
    return Error{.kind = ErrorKind::internal, .what = "a hull needs members and their distances"};
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::all_of(squares.between.begin(), squares.between.end(), finite) ||
      !std::all_of(squares.to.begin(), squares.to.end(), finite) || !std::isfinite(square))
    return beyond();
  Nearest nearest;
  nearest.weights.assign(n, 0);
  const auto closest = std::min_element(squares.to.begin(), squares.to.end());
  if (!(*closest > 0)) {  // a member is tau itself
    nearest.weights[static_cast<std::size_t>(closest - squares.to.begin())] = 1;
    return summed(std::move(nearest), square);
  }
  const auto size = static_cast<Index>(n);
  const Vector lengths = Eigen::Map<const Vector>(squares.to.data(), size).cwiseSqrt();
  Matrix cosines = Matrix::Identity(size, size);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const double product = (squares.to[i] + squares.to[j] - squares.between[i * n + j]) / 2;
      const auto a = static_cast<Index>(i), b = static_cast<Index>(j);
      cosines(a, b) = cosines(b, a) = std::clamp(product / (lengths[a] * lengths[b]), -1.0, 1.0);
    }
  Wolfe wolfe(cosines, lengths);
  wolfe.solve();
  const Vector weights = wolfe.a.cwiseQuotient(lengths);
  for (std::size_t i = 0; i < n; ++i)
    nearest.weights[i] = weights[static_cast<Index>(i)] / weights.sum();
  nearest.distance = std::min(std::sqrt(wolfe.square), lengths.minCoeff());
  // All of the hull lies beyond the plane through its member that comes least far along x.
  const double plane =
      nearest.distance > 0 ? lengths.cwiseProduct(wolfe.along).minCoeff() / nearest.distance : 0;
  nearest.gap = nearest.distance - std::clamp(plane, 0.0, nearest.distance);
  return summed(std::move(nearest), square);
}

Result<Nearest> nearest_in_hull(std::span<const double> products,
                                std::span<const double> with,
                                double square) {
  const std::size_t n = with.size();
  std::vector<double> between, to;
  if (products.size() == n * n)  // else refused by the sizes
    for (std::size_t i = 0; i < n; ++i) {
      to.push_back(std::max(0.0, products[i * n + i] + square - 2 * with[i]));
      for (std::size_t j = 0; j < n; ++j)
        between.push_back(
            std::max(0.0, products[i * n + i] + products[j * n + j] - 2 * products[i * n + j]));
    }
  for (std::size_t i = 0; i < products.size(); ++i)
    if (!std::isfinite(products[i])) return beyond();  // std::max() takes NaN for 0
  for (const double product : with)
    if (!std::isfinite(product)) return beyond();
  return nearest_in_hull(Squares{.between = between, .to = to}, square);
}

}  // namespace ration::region
