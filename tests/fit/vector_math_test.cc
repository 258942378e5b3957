#include "fit/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace ration::fit {
namespace {

constexpr double kFourUnits = 4 * 2.3e-16;

std::vector<double> spread(double first, double last) {
  std::vector<double> x;
  for (int i = 0; i < 1003; ++i) x.push_back(std::lerp(first, last, i / 1002.0));
  return x;
}

TEST(VectorMath, AgreesWithTheScalarFunctions) {
  std::vector<double> x = spread(-700, 700), y(x.size());
  exp_all(x, y);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i] / std::exp(x[i]), 1, kFourUnits);
  x = spread(1e-12, 1e12);
  log_all(x, y);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(y[i], std::log(x[i]), kFourUnits * std::abs(y[i]));
  x = spread(-40, 40);
  expm1_all(x, y);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(y[i], std::expm1(x[i]), kFourUnits * std::abs(y[i]));
}

TEST(VectorMath, SumsExponentialsWithTheirShares) {
  std::vector<double> x = spread(-30, 5), y = spread(4, -20), sum(x.size()), share(x.size());
  const std::vector<double> x0 = x, y0 = y;
  sum_exp_all(x, y, 1.5, sum, share);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double total = std::exp(x0[i]) + std::exp(y0[i]) + 1.5;
    EXPECT_NEAR(sum[i], std::log(total), 1e-14 * std::max(1.0, std::abs(sum[i])));
    EXPECT_NEAR(x[i], std::exp(x0[i]) / total, 1e-14);
    EXPECT_NEAR(y[i], std::exp(y0[i]) / total, 1e-14);
    EXPECT_NEAR(share[i], 1.5 / total, 1e-14);
  }
}

TEST(VectorMath, MultipliesMatricesOfAnyWidth) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  constexpr std::size_t kRows = 37;
  for (std::size_t p = 1; p <= 9; ++p) {
    std::vector<double> j(kRows * p), w(kRows), scratch(j.size()), gram(p * p), product(p);
    for (double& v : j) v = normal(random);
    for (double& v : w) v = normal(random);
    weighted_gram(j, w, scratch, gram);
    transposed_product(j, w, product);
    for (std::size_t a = 0; a < p; ++a) {
      double expected = 0;
      for (std::size_t i = 0; i < kRows; ++i) expected += j[a * kRows + i] * w[i];
      EXPECT_NEAR(product[a], expected, 1e-12);
      EXPECT_NEAR(dot(std::span(j).subspan(a * kRows, kRows), w), expected, 1e-12);
      for (std::size_t b = 0; b < p; ++b) {
        expected = 0;
        for (std::size_t i = 0; i < kRows; ++i)
          expected += j[a * kRows + i] * w[i] * j[b * kRows + i];
        EXPECT_NEAR(gram[a * p + b], expected, 1e-12);
      }
    }
  }
}

}  // namespace
}  // namespace ration::fit
