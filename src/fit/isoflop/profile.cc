#include "fit/isoflop/profile.h"

#include <Eigen/Dense>
#include <cmath>
#include <numeric>

#include "fit/interpolant.h"

namespace ration::fit {
namespace {

Vertex parabola_vertex(const Design& design, const std::vector<double>& losses) {
  const Parabola p = parabola_of(design, losses);
  if (!(p.c2 > 0)) return {.rejected = "the parabola opens downwards"};
  const double x = p.center - p.c1 / (2 * p.c2);
  if (x <= design.sizes.front()) return {.rejected = "its vertex lies below the smallest model"};
  if (x >= design.sizes.back()) return {.rejected = "its vertex lies above the largest model"};
  return {.x = x, .loss = p.c0 - p.c1 * p.c1 / (4 * p.c2)};
}

Vertex akima_vertex(const Design& design, const std::vector<double>& losses) {
  if (design.sizes.size() < Interpolant::kLeast)
    return {.rejected = "an interpolant needs four sizes"};
  std::vector<double> means;  // of ln L, one a size
  for (std::size_t i = 0; i < losses.size();) {
    double sum = 0, weight = 0;
    for (const double size = design.x[i]; i < losses.size() && design.x[i] == size; ++i) {
      sum += design.weights[i] * std::log(losses[i]);
      weight += design.weights[i];
    }
    means.push_back(sum / weight);
  }
  const auto [x, log_loss] = Interpolant(design.sizes, means).lowest();
  if (x <= design.sizes.front()) return {.rejected = "its smallest model has the least loss"};
  if (x >= design.sizes.back()) return {.rejected = "its largest model has the least loss"};
  return {.x = x, .loss = std::exp(log_loss)};
}

}  // namespace

Design design_of(const std::vector<Observation>& runs) {
  Design design;
  for (const Observation& run : runs) {
    design.x.push_back(std::log(run.params.value));
    design.weights.push_back(run.weight);
    if (design.sizes.empty() || design.x.back() != design.sizes.back())
      design.sizes.push_back(design.x.back());
  }
  const std::size_t n = runs.size();
  design.center = std::accumulate(design.x.begin(), design.x.end(), 0.0) / static_cast<double>(n);
  if (design.sizes.size() < kLeastSizes) return design;
  Eigen::MatrixX3d rows(n, 3);
  Eigen::VectorXd roots(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    const double u = design.x[i] - design.center;
    roots[row] = std::sqrt(design.weights[i]);
    rows.row(row) = roots[row] * Eigen::RowVector3d(1, u, u * u);
  }
  design.solve = rows.colPivHouseholderQr().solve(Eigen::MatrixXd(roots.asDiagonal()));
  return design;
}

Parabola parabola_of(const Design& design, const std::vector<double>& losses) {
  const Eigen::Vector3d c =
      design.solve *
      Eigen::Map<const Eigen::VectorXd>(losses.data(), static_cast<Eigen::Index>(losses.size()));
  return {.center = design.center, .c0 = c[0], .c1 = c[1], .c2 = c[2]};
}

Vertex vertex_of(ProfileCurve curve, const Design& design, const std::vector<double>& losses) {
  if (design.sizes.size() < kLeastSizes) return {.rejected = "fewer than three sizes"};
  return curve == ProfileCurve::parabola ? parabola_vertex(design, losses)
                                         : akima_vertex(design, losses);
}

double Parabola::loss(double log_params) const {
  const double u = log_params - center;
  return c0 + u * (c1 + u * c2);
}

}  // namespace ration::fit
