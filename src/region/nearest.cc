// The nearest point of a convex hull, from scalar products alone.

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include "region/hull.h"

namespace ration::region {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

constexpr double kOptimal = 1e-9;  // of |tau_i - tau|^2: how far from optimal a solution may be
constexpr double kZero = 1e-14;    // weights and gains below are rounding

// The least w'Mw on the simplex, M being the products of tau_i - tau by the largest of their
// squares. A primal active-set method: it goes to the least point of the affine hull of the members
// in use, as far as weights stay positive; a member whose weight becomes 0 leaves, and when nothing
// is left to gain among those in use, the one that lowers the distance fastest joins.
class ActiveSet {
 public:
  explicit ActiveSet(Matrix m) : m_(std::move(m)) {
    const Eigen::Index n = m_.rows();
    w = Vector::Constant(n, 1 / static_cast<double>(n));
    for (Eigen::Index i = 0; i < n; ++i) used_.push_back(i);
  }

  // False when it did not get there.
  bool solve() {
    double last = std::numeric_limits<double>::infinity();
    for (Eigen::Index round = 0; round < 100 + 10 * m_.rows(); ++round) {
      if (!descend()) continue;  // a member left
      Eigen::Index join = 0;
      const Vector gradient = m_ * w;
      const double square = w.dot(gradient);
      if (square - gradient.minCoeff(&join) <= kZero || !(square < last)) break;
      if (std::find(used_.begin(), used_.end(), join) != used_.end()) break;  // rounding alone
      last = square;
      used_.push_back(join);
    }
    const Vector gradient = m_ * w;
    return w.dot(gradient) - gradient.minCoeff() <= kOptimal;
  }

  Vector w;

 private:
  // To the least point of the affine hull of the members in use, or to the first weight that
  // becomes 0 on the way: true and false.
  bool descend() {
    const Vector goal = affine_least();
    double part = 1;
    std::size_t first = used_.size();
    for (std::size_t a = 0; a < used_.size(); ++a) {
      const double now = w[used_[a]], then = goal[static_cast<Eigen::Index>(a)];
      if (then < 0 && now / (now - then) < part) part = now / (now - then), first = a;
    }
    std::vector<Eigen::Index> kept;
    for (std::size_t a = 0; a < used_.size(); ++a) {
      double& weight = w[used_[a]];
      weight += part * (goal[static_cast<Eigen::Index>(a)] - weight);
      if (a != first && weight > kZero)
        kept.push_back(used_[a]);
      else
        weight = 0;
    }
    w /= w.sum();
    const bool whole = kept.size() == used_.size();
    used_ = std::move(kept);
    return whole;
  }

  // [M 1; 1' 0] [w; -l] = [0; 1] over the members in use. The solution of least norm where members
  // depend on each other.
  Vector affine_least() const {
    const auto size = static_cast<Eigen::Index>(used_.size());
    Matrix system = Matrix::Ones(size + 1, size + 1);
    for (Eigen::Index a = 0; a < size; ++a)
      for (Eigen::Index b = 0; b < size; ++b)
        system(a, b) = m_(used_[static_cast<std::size_t>(a)], used_[static_cast<std::size_t>(b)]);
    system(size, size) = 0;
    const Vector right = Vector::Unit(size + 1, size);
    return Vector(system.completeOrthogonalDecomposition().solve(right)).head(size);
  }

  Matrix m_;
  std::vector<Eigen::Index> used_;
};

}  // namespace

Result<Nearest> nearest_in_hull(std::span<const double> products,
                                std::span<const double> with,
                                double square) {
  const std::size_t n = with.size();
  if (n == 0 || products.size() != n * n)
    return Error{.kind = ErrorKind::internal, .what = "a hull needs members and their products"};
  const auto size = static_cast<Eigen::Index>(n);
  Matrix m(size, size);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      m(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) =
          products[i * n + j] - with[i] - with[j] + square;
  const double scale = m.diagonal().maxCoeff();
  Nearest nearest;
  nearest.weights.assign(n, 1 / static_cast<double>(n));
  double least = 0;
  if (scale > 0) {  // else all members are tau itself
    m /= scale;
    ActiveSet active(m);
    if (!active.solve())
      return Error{.kind = ErrorKind::internal,
                   .what = "the nearest point of the hull was not found",
                   .hint = "the scalar products are no finite numbers, or not those of vectors"};
    for (std::size_t i = 0; i < n; ++i) nearest.weights[i] = active.w[static_cast<Eigen::Index>(i)];
    least = scale * std::max(0.0, active.w.dot(m * active.w));
  }
  nearest.distance = std::sqrt(least);
  nearest.relative =
      square > 0 ? nearest.distance / std::sqrt(square) : std::numeric_limits<double>::quiet_NaN();
  return nearest;
}

}  // namespace ration::region
