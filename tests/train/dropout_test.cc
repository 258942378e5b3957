#include "train/dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "train/model.h"

namespace ration::train {
namespace {

constexpr double kProbability = 0.3;

at::Tensor mask(const Dropout& dropout, std::int64_t step, std::int64_t layer, DropoutSite site) {
  return dropout.apply(at::ones({4, 8, 8}, at::kDouble), {.step = step}, layer, site);
}

TEST(Dropout, HasTheSameMaskForAnySplitOfTheBatch) {
  const Dropout dropout(kProbability, 7);
  const at::Tensor x = at::rand({6, 5, 4}, at::kDouble);
  const auto part = [&](std::int64_t first, std::int64_t count) {
    return dropout.apply(x.narrow(0, first, count),
                         {.step = 3, .first_sequence = first},
                         1,
                         DropoutSite::mlp_branch);
  };

  EXPECT_TRUE(at::equal(part(0, 6), at::cat({part(0, 1), part(1, 3), part(4, 2)})));
}

TEST(Dropout, KeepsTheExpectation) {
  const Dropout dropout(kProbability, 1);
  const at::Tensor kept =
      dropout.apply(at::ones({100, 1000}, at::kDouble), {}, 0, DropoutSite::embedding);

  // Standard error of the mean of 10^5 masks: sqrt(p / (1 - p) / 10^5) = 0.002.
  EXPECT_NEAR(kept.mean().item<double>(), 1, 0.01);
  EXPECT_NEAR(at::count_nonzero(kept).item<double>() / 1e5, 1 - kProbability, 0.01);
}

TEST(Dropout, HasAnotherMaskAtEveryStepLayerAndSite) {
  const Dropout dropout(kProbability, 1);
  std::vector<at::Tensor> masks;
  for (std::int64_t step = 0; step < 6; ++step)
    for (std::int64_t layer = 0; layer < 2; ++layer)
      for (const DropoutSite site :
           {DropoutSite::embedding, DropoutSite::attention_branch, DropoutSite::mlp_branch})
        masks.push_back(mask(dropout, step, layer, site));

  for (std::size_t i = 0; i < masks.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_FALSE(at::equal(masks[i], masks[j])) << i << " and " << j;
}

TEST(Dropout, IsOffWithoutAPlaceInTraining) {
  run::RunSpec spec;
  spec.dropout = 0.5;
  spec = run::resolve(spec);
  run::RunSpec without = spec;
  without.dropout = 0;
  const Model dropped(spec, at::kFloat), plain(without, at::kFloat);
  const at::Tensor tokens = at::arange(16, at::kLong).view({2, 8});
  const BatchPlace place;

  EXPECT_TRUE(at::equal(dropped.logits(tokens), plain.logits(tokens)));
  EXPECT_FALSE(at::allclose(dropped.logits(tokens, &place), plain.logits(tokens)));
}

}  // namespace
}  // namespace ration::train
