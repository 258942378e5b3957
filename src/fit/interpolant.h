#pragma once

// A smooth curve through points, and its lowest place.
//
//   const Interpolant curve({0, 1, 2, 3}, {4, 1, 0, 1});
//   const auto [x, y] = curve.lowest();  // between 1 and 3
//
// Modified Akima interpolation, as Boost.Math has it ("A New Method of Interpolation and Smooth
// Curve Fitting Based on Local Procedures", 1970, with weights that stay defined where neighbouring
// slopes are equal): cubics whose slopes follow the neighbouring points alone, so that one bad
// point bends the curve near itself only. Cost: linear in the points.

#include <memory>
#include <utility>
#include <vector>

namespace ration::fit {

class Interpolant {
 public:
  // Points that it needs.
  static constexpr std::size_t kLeast = 4;

  // `x` ascends strictly; at least kLeast points, all finite.
  Interpolant(std::vector<double> x, std::vector<double> y);

  // The curve at x, which lies between the ends.
  double operator()(double x) const;

  // Where the curve is lowest between its ends, and how low: exact, by the roots of the slope of
  // each cubic.
  std::pair<double, double> lowest() const;

 private:
  struct Curve;
  std::vector<double> x_, y_;
  std::shared_ptr<const Curve> curve_;  // shared: a curve never changes, and Boost's is not copied
};

}  // namespace ration::fit
