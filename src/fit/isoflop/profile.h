#pragma once

// The profile of one level: the loss against model size, and where it is lowest.

#include <Eigen/Core>
#include <vector>

#include "fit/isoflop.h"

namespace ration::fit {

// Sizes below which a level is no profile.
constexpr int kLeastSizes = 3;

// What a profile is fitted with again and again: everything but the losses.
struct Design {
  std::vector<double> x;  // ln N, ascending
  std::vector<double> weights;
  std::vector<double> sizes;  // distinct values of x
  double center = 0;
  // Coefficients of the parabola out of the losses; empty where sizes are fewer than 3.
  Eigen::Matrix<double, 3, Eigen::Dynamic> solve;

  double step() const {  // mean, between sizes
    return (sizes.back() - sizes.front()) / static_cast<double>(sizes.size() - 1);
  }
};

// `runs` of one level, ascending sizes.
Design design_of(const std::vector<Observation>& runs);

// Through the losses in nats, one a run of the design, which has three sizes or more.
Parabola parabola_of(const Design& design, const std::vector<double>& losses);

// Where a profile is lowest, or why it has no such place. The reason is text without allocation,
// because most of them are asked for in draws.
struct Vertex {
  double x = 0, loss = 0;
  const char* rejected = nullptr;
};

Vertex vertex_of(ProfileCurve curve, const Design& design, const std::vector<double>& losses);

}  // namespace ration::fit
