#include "region/plane_map.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <cmath>

namespace ration::region {
namespace {

// -1/2 J D J with J = I - 1/n: scalar products about the mean.
Eigen::MatrixXd centred(std::span<const double> squares, Eigen::Index n) {
  Eigen::MatrixXd products = -0.5 * Eigen::Map<const Eigen::MatrixXd>(squares.data(), n, n);
  const Eigen::VectorXd means = products.rowwise().mean();
  products.colwise() -= means;
  products.rowwise() -= (means.array() - means.mean()).matrix().transpose();
  return products;
}

// Its length is the root of the eigenvalue.
std::vector<double> axis(const Eigen::VectorXd& direction, double value) {
  Eigen::Index largest = 0;
  direction.cwiseAbs().maxCoeff(&largest);
  const Eigen::VectorXd entries = (direction[largest] < 0 ? -1 : 1) * std::sqrt(value) * direction;
  return {entries.begin(), entries.end()};
}

}  // namespace

PlaneMap plane_map(std::span<const double> squares, std::size_t n) {
  PlaneMap map{.x = std::vector<double>(n), .y = std::vector<double>(n)};
  if (n < 2) return map;
  const Eigen::MatrixXd products = centred(squares, static_cast<Eigen::Index>(n));
  const double all = products.trace();
  if (!(all > 0)) return map;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> found(products);  // values ascend
  Eigen::Index place = products.rows();
  for (std::vector<double>* entries : {&map.x, &map.y}) {
    const double value = found.eigenvalues()[--place];
    if (!(value > 0)) continue;  // rounding of models on a line
    *entries = axis(found.eigenvectors().col(place), value);
    map.share += value / all;
  }
  return map;
}

}  // namespace ration::region
