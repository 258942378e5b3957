#include "region/corral.h"

#include <cmath>
#include <limits>

namespace ration::region {
namespace {

using Eigen::Index;
using Eigen::VectorXd;

// A pivot below is rounding of the cosines, whose squares are 1.
constexpr double kDependent = 1e-13;

Index count(const std::vector<Index>& used) { return static_cast<Index>(used.size()); }

}  // namespace

Corral::Corral(const Eigen::MatrixXd& cosines, const VectorXd& lengths)
    : cosines_(cosines),
      u_(lengths.minCoeff() * lengths.cwiseInverse()),
      factor_(Eigen::MatrixXd::Zero(lengths.size(), lengths.size())) {}

bool Corral::join(Index vector) {
  const Index k = count(used_);
  VectorXd row(k);
  for (Index i = 0; i < k; ++i) {
    const Index other = used_[static_cast<std::size_t>(i)];
    row[i] = cosines_(vector, other) + u_[vector] * u_[other];
  }
  factor_.topLeftCorner(k, k).triangularView<Eigen::Lower>().solveInPlace(row);
  const double pivot = 1 + u_[vector] * u_[vector] - row.squaredNorm();
  if (!(pivot > kDependent)) return false;
  factor_.block(k, 0, 1, k) = row.transpose();
  factor_(k, k) = std::sqrt(pivot);
  used_.push_back(vector);
  return true;
}

void Corral::leave(std::size_t place) {
  // Rows below lose one column: turned back into a triangle by rotations of neighbouring columns.
  const Index k = count(used_), first = static_cast<Index>(place);
  used_.erase(used_.begin() + first);
  for (Index i = first; i + 1 < k; ++i) {
    factor_.block(i, 0, 1, i + 2) = factor_.block(i + 1, 0, 1, i + 2).eval();
  }
  for (Index i = first; i + 1 < k; ++i) {
    const double x = factor_(i, i), y = factor_(i, i + 1), r = std::hypot(x, y);
    const double c = x / r, s = y / r;
    for (Index row = i; row + 1 < k; ++row) {
      const double left = factor_(row, i), right = factor_(row, i + 1);
      factor_(row, i) = c * left + s * right;
      factor_(row, i + 1) = c * right - s * left;
    }
    factor_(i, i + 1) = 0;
  }
}

std::optional<VectorXd> Corral::affine_least() const {
  const Index k = count(used_);
  VectorXd u(k);
  for (Index i = 0; i < k; ++i) u[i] = u_[used_[static_cast<std::size_t>(i)]];
  VectorXd a = u;
  const auto lower = factor_.topLeftCorner(k, k).triangularView<Eigen::Lower>();
  lower.solveInPlace(a);
  lower.transpose().solveInPlace(a);
  const double sum = a.dot(u);
  if (!(std::abs(sum) > 0) || !a.allFinite()) return std::nullopt;
  return VectorXd(a / sum);
}

}  // namespace ration::region
