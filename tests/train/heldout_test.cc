#include "train/heldout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace ration::train {
namespace {

TEST(HeldOut, IsTheMeanOverAllTokensOneWindowAtATime) {
  run::RunSpec spec;
  spec.width = 16;
  spec.heads = 2;
  spec.vocab = 31;
  spec.context = 8;
  spec.dropout = 0.5;  // must make no difference
  spec = run::resolve(spec);
  const Model model(spec, at::kDouble);
  std::vector<std::int32_t> tokens(1100 * 8 + 3);  // more than one batch, and a rest
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int32_t>((i * i + 3 * i) % 31);

  const double got = HeldOut(Windows(tokens, 8)).loss(model, *alone());

  double sum = 0;
  const c10::NoGradGuard no_gradients;
  for (std::size_t window = 0; window < 1100; ++window) {
    at::Tensor input = at::empty({1, 8}, at::kLong);
    for (std::size_t t = 0; t < 8; ++t)
      input[0][static_cast<std::int64_t>(t)] = tokens[window * 8 + t];
    const at::Tensor logits = model.logits(input)[0].contiguous();
    for (std::size_t t = 0; t < 8; ++t) {
      const double* row = logits.data_ptr<double>() + t * 31;
      double total = 0;
      for (int v = 0; v < 31; ++v) total += std::exp(row[v]);
      sum += std::log(total) - row[tokens[window * 8 + t + 1]];
    }
  }
  EXPECT_NEAR(got, sum / (1100 * 8), 1e-11);
}

TEST(EvaluationGrid, HasTheAskedPointsInEveryDecade) {
  int crossed = 0;
  for (std::int64_t tokens = 10'000; tokens < 100'000; tokens += 100)
    crossed += crosses_grid(tokens, tokens + 100, 8);

  EXPECT_EQ(crossed, 8);
}

TEST(EvaluationGrid, IsCrossedWhereItsPointsLie) {
  EXPECT_TRUE(crosses_grid(999, 1000, 1));
  EXPECT_FALSE(crosses_grid(1000, 1001, 1));
  EXPECT_FALSE(crosses_grid(1000, 9999, 1));
  EXPECT_TRUE(crosses_grid(0, 1, 1));
  EXPECT_FALSE(crosses_grid(0, 1'000'000, 0));
}

}  // namespace
}  // namespace ration::train
