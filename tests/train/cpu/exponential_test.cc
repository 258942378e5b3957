#include "train/cpu/exponential.h"

#include <gtest/gtest.h>

namespace ration::train::cpu {
namespace {

TEST(Exponential, IsWithinTwoUnitsInTheLastPlace) {
  constexpr double unit = 0x1.0p-23;  // relative size of a last place is at most this
  double worst = 0;
  for (double x = -87; x <= 88; x += 0.00137) {
    const auto argument = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(argument));
    worst = std::max(worst, std::abs(exponential(argument) - exact) / exact);
  }

  EXPECT_LT(worst, 2 * unit);
}

TEST(Exponential, IsExactAtZero) { EXPECT_EQ(exponential(0.0F), 1.0F); }

TEST(Exponential, StaysFiniteOutsideItsRange) {
  EXPECT_LT(exponential(-1e30F), 2e-38F);
  EXPECT_GE(exponential(-HUGE_VALF), 0);
  EXPECT_TRUE(std::isfinite(exponential(HUGE_VALF)));
}

TEST(Exponential, PassesNanOn) { EXPECT_TRUE(std::isnan(exponential(std::nanf("")))); }

}  // namespace
}  // namespace ration::train::cpu
