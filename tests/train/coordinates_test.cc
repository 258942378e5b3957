#include "train/coordinates.h"

#include <gtest/gtest.h>

namespace ration::train {
namespace {

run::RunSpec narrow_spec(const std::string& family, const std::string& parametrisation) {
  run::RunSpec spec;
  spec.family = family;
  spec.width = 64;
  spec.heads = 4;
  spec.context = 16;
  spec.vocab = 64;
  spec.lr = 1e-2;
  spec.parametrisation = parametrisation;
  return run::resolve(spec);
}

const std::vector<std::int64_t> kWidths = {64, 128, 256, 512};

class Mup : public testing::TestWithParam<std::string> {};

// What makes a learning rate carry over from width to width.
TEST_P(Mup, KeepsTheSizeOfEveryActivationOverWidthsAfterThreeSteps) {
  for (const Coordinate& coordinate : coordinate_check(narrow_spec(GetParam(), "mup"), kWidths, 3))
    EXPECT_LT(coordinate.spread(), 1.3) << coordinate.name;
}

TEST_P(Mup, IsNotWhatTheStandardParametrisationDoes) {
  double largest = 0;
  for (const Coordinate& coordinate :
       coordinate_check(narrow_spec(GetParam(), "standard"), kWidths, 3))
    largest = std::max(largest, coordinate.spread());

  EXPECT_GT(largest, 2);
}

INSTANTIATE_TEST_SUITE_P(Families, Mup, testing::Values("llama", "gpt2"));

}  // namespace
}  // namespace ration::train
