#include "fit/interpolant.h"

#include <algorithm>
#include <boost/math/interpolators/makima.hpp>
#include <cmath>

namespace ration::fit {

struct Interpolant::Curve : boost::math::interpolators::makima<std::vector<double>> {
  using boost::math::interpolators::makima<std::vector<double>>::makima;
};

Interpolant::Interpolant(std::vector<double> x, std::vector<double> y)
    : x_(std::move(x)),
      y_(std::move(y)),
      curve_(std::make_shared<Curve>(std::vector<double>(x_), std::vector<double>(y_))) {}

double Interpolant::operator()(double x) const {
  return (*curve_)(std::clamp(x, x_.front(), x_.back()));
}

std::pair<double, double> Interpolant::lowest() const {
  std::pair<double, double> best = {x_.front(), y_.front()};
  const auto consider = [&](double x, double y) {
    if (y < best.second) best = {x, y};
  };
  for (std::size_t i = 1; i < x_.size(); ++i) {
    consider(x_[i], y_[i]);
    // With t from 0 to 1 along the piece, its slope is a t^2 + b t + c.
    const double width = x_[i] - x_[i - 1], rise = y_[i] - y_[i - 1];
    const double from = width * curve_->prime(x_[i - 1]), to = width * curve_->prime(x_[i]);
    const double a = 3 * (from + to - 2 * rise), b = 2 * (3 * rise - 2 * from - to), c = from;
    const double inside = b * b - 4 * a * c;
    if (inside < 0) continue;
    const double q = -(b + std::copysign(std::sqrt(inside), b)) / 2;  // without cancellation
    for (const double t : {q / a, c / q})
      if (t > 0 && t < 1) {
        const double x = x_[i - 1] + t * width;
        consider(x, (*this)(x));
      }
  }
  return best;
}

}  // namespace ration::fit
