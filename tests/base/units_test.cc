#include "base/units.h"

#include <gtest/gtest.h>

#include <concepts>

namespace ration {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept Comparable = requires(A a, B b) {
  a < b;
};

static_assert(Addable<Tokens, Tokens>);
static_assert(!Addable<Tokens, Params>);
static_assert(!Addable<Tokens, double>);
static_assert(!Comparable<Tokens, Params>);
static_assert(!std::convertible_to<double, Tokens>);
static_assert(!std::convertible_to<Tokens, double>);

TEST(Quantity, AddsScalesAndComparesWithItsLikes) {
  Tokens seen(10);
  seen += Tokens(5);

  EXPECT_EQ((seen + Tokens(1)).value, 16);
  EXPECT_EQ((seen - Tokens(1)).value, 14);
  EXPECT_EQ((2 * seen * 2).value, 60);
  EXPECT_EQ((seen / 3).value, 5);
  EXPECT_EQ(seen / Tokens(5), 3);
  EXPECT_LT(Tokens(1), Tokens(2));
}

// "Training Compute-Optimal Large Language Models" (2022): 70e9 parameters on 1.4e12 tokens cost
// 5.88e23.
TEST(Flops, AreSixTimesParametersTimesTokens) {
  const Flops cost = training_flops(Params(70e9), Tokens(1.4e12));

  EXPECT_DOUBLE_EQ(cost.value, 5.88e23);
  EXPECT_DOUBLE_EQ(tokens_for(cost, Params(70e9)).value, 1.4e12);
}

TEST(Epochs, AreTokensSeenForEachUniqueToken) {
  EXPECT_EQ(epochs(Tokens(55e9), Tokens(10e9)).value, 5.5);
}

}  // namespace
}  // namespace ration
