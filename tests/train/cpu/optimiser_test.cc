#include "train/cpu/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ration::train::cpu {
namespace {

TEST(AdamW, MovesByTheFormulaWithinItsRangeOnly) {
  std::vector<double> p(40, 1.0), g(40), m(40, 0.1), v(40, 0.01);
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = std::sin(static_cast<double>(i));
  const AdamFactors factors{.beta1 = 0.9,
                            .beta2 = 0.95,
                            .eps = 1e-8,
                            .step_size = 0.3,
                            .root_correction = 0.7,
                            .grad_scale = 0.5,
                            .keep = 0.99};

  adamw<double>({3, 37}, factors, p.data(), g.data(), m.data(), v.data());

  for (std::size_t i = 0; i < p.size(); ++i) {
    const bool inside = i >= 3 && i < 37;
    const double scaled = 0.5 * g[i];
    const double first = inside ? 0.9 * 0.1 + 0.1 * scaled : 0.1;
    const double second = inside ? 0.95 * 0.01 + 0.05 * scaled * scaled : 0.01;
    EXPECT_NEAR(m[i], first, 1e-15);
    EXPECT_NEAR(v[i], second, 1e-15);
    EXPECT_NEAR(p[i], inside ? 0.99 - 0.3 * first / (std::sqrt(second) / 0.7 + 1e-8) : 1, 1e-13);
  }
}

TEST(SumOfSquares, KeepsWhatSinglePrecisionWouldLose) {
  std::vector<float> x(1 << 20, 1e-3F);
  x[0] = 1e4F;

  // Each term is below half a last place of 1e8 in single precision, all of them together are 1.05;
  // in double, a million roundings of at most 1e-8 remain.
  const double expected = 1e8 + ((1 << 20) - 1) * static_cast<double>(1e-3F) * 1e-3F;
  EXPECT_NEAR(sum_of_squares(x.data(), 1 << 20), expected, 1e-2);
}

TEST(SumOfSquares, IsNotFiniteWhenAnElementIsNot) {
  const std::vector<float> x = {1, std::nanf(""), 2};

  EXPECT_TRUE(std::isnan(sum_of_squares(x.data(), 3)));
}

}  // namespace
}  // namespace ration::train::cpu
