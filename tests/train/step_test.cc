#include "train/step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace ration::train {
namespace {

run::RunSpec small_spec() {
  run::RunSpec spec;
  spec.width = 16;
  spec.heads = 2;
  spec.vocab = 31;
  spec.context = 12;
  return run::resolve(spec);
}

Batch random_batch(std::int64_t sequences, std::int64_t seed = 0) {
  const at::Tensor tokens = (at::arange(sequences * 13, at::kLong) * (seed + 7) +
                             at::arange(sequences * 13, at::kLong).square())
                                .remainder(31)
                                .view({sequences, 13});
  return {tokens.narrow(1, 0, 12).contiguous(), tokens.narrow(1, 1, 12).contiguous()};
}

struct Trained {
  explicit Trained(const run::RunSpec& spec, at::ScalarType dtype = at::kFloat)
      : model(spec, dtype), optimiser(spec, model.parameters()) {}
  StepResult step(const Batch& batch, const StepOptions& options) {
    return train_step(model, optimiser, batch, options);
  }
  Model model;
  AdamW optimiser;
};

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

class MicroBatches : public testing::TestWithParam<double> {};

TEST_P(MicroBatches, GiveTheGradientsOfTheWholeBatch) {
  run::RunSpec spec = small_spec();
  spec.dropout = GetParam();
  Trained whole(spec), split(spec);

  const StepResult one = whole.step(random_batch(7), {.lr = 1e-3, .step = 5});
  const StepResult many = split.step(random_batch(7), {.lr = 1e-3, .micro_batch = 3, .step = 5});

  EXPECT_NEAR(many.loss, one.loss, 1e-6 * one.loss);
  EXPECT_NEAR(many.grad_norm, one.grad_norm, 1e-6 * one.grad_norm);
  EXPECT_LT(relative_difference(split.model.parameters().grads(), whole.model.parameters().grads()),
            1e-6);
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutDropout, MicroBatches, testing::Values(0.0, 0.2));

TEST(TrainStep, WeighsAShortStepByItsOwnTokens) {
  Trained alone(small_spec(), at::kDouble), repeated(small_spec(), at::kDouble);
  const Batch three = random_batch(3);
  const Batch six{at::cat({three.inputs, three.inputs}), at::cat({three.targets, three.targets})};

  const StepResult small = alone.step(three, {.lr = 1e-3});
  const StepResult large = repeated.step(six, {.lr = 1e-3});

  EXPECT_NEAR(small.loss, large.loss, 1e-12);
  EXPECT_NEAR(small.grad_norm, large.grad_norm, 1e-12);
}

TEST(TrainStep, ClipsToTheGivenNormAndNeverWithZero) {
  Trained clipped(small_spec()), free(small_spec());

  const StepResult tight = clipped.step(random_batch(4), {.lr = 1e-3, .clip = 1e-3});
  const StepResult loose = free.step(random_batch(4), {.lr = 1e-3, .clip = 0});

  EXPECT_DOUBLE_EQ(tight.clip, 1e-3 / (tight.grad_norm + 1e-6));
  EXPECT_EQ(loose.clip, 1);
  EXPECT_EQ(tight.grad_norm, loose.grad_norm);
}

TEST(TrainStep, DecaysMatricesOnly) {
  run::RunSpec spec = small_spec(), decayed_spec = small_spec();
  spec.weight_decay = 0;
  decayed_spec.weight_decay = 0.5;
  Trained plain(spec, at::kDouble), decayed(decayed_spec, at::kDouble);
  Parameters before(spec, at::kDouble);

  plain.step(random_batch(4), {.lr = 0.1});
  decayed.step(random_batch(4), {.lr = 0.1});

  for (const Parameters::Entry& entry : before.entries()) {
    const std::string& name = entry.shape.name;
    const at::Tensor moved = plain.model.parameters().at(name).value.detach();
    const double shrink = entry.shape.shape.size() >= 2 ? 0.1 * 0.5 : 0;
    const at::Tensor expected = moved - shrink * entry.value.detach();
    EXPECT_TRUE(
        at::allclose(decayed.model.parameters().at(name).value.detach(), expected, 1e-12, 1e-12))
        << name;
  }
}

TEST(TrainStep, ChangesNothingWhenTheLossIsNotFinite) {
  Trained trained(small_spec());
  trained.model.parameters().values()[0] = std::nan("");
  const at::Tensor before = trained.model.parameters().values().clone();

  const StepResult result = trained.step(random_batch(4), {.lr = 1e-3});

  EXPECT_FALSE(result.updated);
  EXPECT_EQ(trained.optimiser.updates(), 0);
  EXPECT_TRUE(at::allclose(trained.model.parameters().values(), before, 0, 0, /*equal_nan=*/true));
}

TEST(TrainStep, HasTheGradientThatFiniteDifferencesGive) {
  run::RunSpec spec = small_spec();
  spec.qk_norm = true;  // what the vectors do not cover
  spec.z_loss = 1e-2;
  Trained trained(spec, at::kDouble);
  const Batch batch = random_batch(3);
  trained.step(batch, {.lr = 0, .clip = 0});
  const at::Tensor grads = trained.model.parameters().grads().clone();
  const auto objective = [&] {
    const c10::NoGradGuard no_gradients;
    const at::Tensor logits = trained.model.logits(batch.inputs);
    const at::Tensor loss = trained.model.loss_sum(logits, batch.targets);
    return trained.model.objective_sum(logits, loss).item<double>() /
           static_cast<double>(batch.tokens());
  };
  double* values = trained.model.parameters().values().data_ptr<double>();

  for (std::int64_t i = 0; i < grads.numel(); i += 97) {
    constexpr double kStep = 1e-5;
    const double kept = values[i];
    values[i] = kept + kStep;
    const double above = objective();
    values[i] = kept - kStep;
    const double below = objective();
    values[i] = kept;
    EXPECT_NEAR(grads[i].item<double>(), (above - below) / (2 * kStep), 1e-8) << "parameter " << i;
  }
}

}  // namespace
}  // namespace ration::train
