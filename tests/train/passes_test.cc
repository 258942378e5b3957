// The written-out passes against the model in LibTorch's operators and its automatic gradient.

#include "train/passes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "train/model.h"
#include "train/small_models.h"
#include "train/step.h"

namespace ration::train {
namespace {

using test::batch_of;
using Variant = test::SmallModel;

run::RunSpec base_spec(const std::string& family, const std::string& mlp) {
  return run::resolve(test::small_spec(family, mlp, 37));
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  const auto add = [&](std::string name, run::RunSpec spec, auto change) {
    change(spec);
    all.push_back({std::move(name), std::move(spec)});
  };
  add("Swiglu", base_spec("llama", "swiglu"), [](auto&) {});
  add("Relu2Untied", base_spec("llama", "relu2"), [](auto& s) { s.tied = false; });
  add("GeluTanhWithBiases", base_spec("gpt2", "gelu_tanh"), [](auto& s) { s.bias = true; });
  add("GeluErf", base_spec("gpt2", "gelu_erf"), [](auto&) {});
  add("Dropout", base_spec("llama", "swiglu"), [](auto& s) { s.dropout = 0.3; });
  add("DropoutOnLearnedPositions", base_spec("gpt2", "gelu_tanh"), [](auto& s) {
    s.dropout = 0.2;
  });
  add("QkNormAndZLoss", base_spec("llama", "relu2"), [](auto& s) {
    s.qk_norm = true;
    s.z_loss = 1e-2;
  });
  add("QkNormWithoutRotation", base_spec("gpt2", "gelu_erf"), [](auto& s) { s.qk_norm = true; });
  add("WholeVectors", base_spec("llama", "relu2"), [](auto& s) {
    s.width = 64;
    s.heads = 4;
    s.mlp_width = 256;
    s.vocab = 257;
    s.context = 64;
  });
  add("MupByWidth", base_spec("gpt2", "gelu_tanh"), [](auto& s) { s.parametrisation = "mup"; });
  add("MupWithDropout", base_spec("llama", "swiglu"), [](auto& s) {
    s.parametrisation = "mup";
    s.dropout = 0.1;
  });
  add("WeightsLargerThanTheCache", base_spec("llama", "swiglu"), [](auto& s) {
    s.layers = 1;
    s.width = 640;
    s.heads = 5;
    s.mlp_width = 768;
    s.context = 9;
    s.init_std = 0.02;
  });
  return all;
}

// Loss and gradients as LibTorch derives them from the definition.
double derived_gradients(Model& model, const Batch& batch, const BatchPlace& place, double weight) {
  model.parameters().grads().zero_();
  const at::Tensor logits = model.logits(batch.inputs, &place);
  const at::Tensor loss = model.loss_sum(logits, batch.targets);
  (model.objective_sum(logits, loss) * weight).backward();
  return loss.item<double>();
}

void expect_equal_gradients(Parameters& got, Parameters& want, double tolerance) {
  test::expect_equal_gradients(
      [&](const std::string& name) { return got.at(name).grad; }, want, tolerance);
}

class PassesOf : public testing::TestWithParam<Variant> {};

TEST_P(PassesOf, GiveTheLossAndGradientsOfTheDefinition) {
  const run::RunSpec& spec = GetParam().spec;
  Model written(spec, at::kDouble), derived(spec, at::kDouble);
  const BatchPlace place{.step = 3, .first_sequence = 2};
  const Batch batch = batch_of(spec, 5, spec.context);

  const double got = written.passes().add_gradients(batch.rows(0, 5), place, 0.01);
  const double want = derived_gradients(derived, batch, place, 0.01);

  EXPECT_NEAR(got, want, 1e-12 * want);
  expect_equal_gradients(written.parameters(), derived.parameters(), 1e-11);
}

TEST_P(PassesOf, GiveTheHeldOutLossOfTheDefinitionAlsoOfShorterSequences) {
  const run::RunSpec& spec = GetParam().spec;
  const Model model(spec, at::kDouble);
  const Batch batch = batch_of(spec, 3, spec.context - 4);
  const c10::NoGradGuard no_gradients;

  const double got = model.passes().loss_sum(batch.rows(0, 3));

  const double want = model.loss_sum(model.logits(batch.inputs), batch.targets).item<double>();
  EXPECT_NEAR(got, want, 1e-12 * want);
}

TEST_P(PassesOf, StayWithinRoundingInSinglePrecision) {
  const run::RunSpec& spec = GetParam().spec;
  Model single(spec, at::kFloat), exact(spec, at::kDouble);
  exact.parameters().values().copy_(single.parameters().values());
  const Batch batch = batch_of(spec, 4, spec.context);

  const double got = single.passes().add_gradients(batch.rows(0, 4), {}, 0.01);
  const double want = exact.passes().add_gradients(batch.rows(0, 4), {}, 0.01);

  EXPECT_NEAR(got, want, 1e-6 * want);
  const double difference =
      (single.parameters().grads().to(at::kDouble) - exact.parameters().grads())
          .norm()
          .item<double>();
  EXPECT_LT(difference, 1e-5 * exact.parameters().grads().norm().item<double>());
}

INSTANTIATE_TEST_SUITE_P(All, PassesOf, testing::ValuesIn(variants()), [](const auto& tested) {
  return tested.param.name;
});

TEST(Passes, AddToTheGradientsThatAreThere) {
  const run::RunSpec spec = base_spec("llama", "relu2");
  Model once(spec, at::kDouble), twice(spec, at::kDouble);
  const Batch batch = batch_of(spec, 2, spec.context);

  once.passes().add_gradients(batch.rows(0, 2), {}, 2);
  twice.passes().add_gradients(batch.rows(0, 2), {}, 1);
  twice.passes().add_gradients(batch.rows(0, 2), {}, 1);

  expect_equal_gradients(twice.parameters(), once.parameters(), 1e-12);
}

TEST(Passes, DependOnThreadsInTheirLastBitsOnly) {
  const run::RunSpec spec = base_spec("llama", "swiglu");
  Model alone(spec, at::kDouble), shared(spec, at::kDouble);
  const Batch batch = batch_of(spec, 6, spec.context);

  const double one = alone.passes().add_gradients(batch.rows(0, 6), {}, 1);
  at::set_num_threads(3);
  const double three = shared.passes().add_gradients(batch.rows(0, 6), {}, 1);
  at::set_num_threads(1);

  EXPECT_NEAR(three, one, 1e-12 * one);
  expect_equal_gradients(shared.parameters(), alone.parameters(), 1e-12);
}

TEST(Passes, ReportALossThatIsNotFinite) {
  const run::RunSpec spec = base_spec("gpt2", "gelu_tanh");
  const Batch batch = batch_of(spec, 2, spec.context);
  for (const double poison : {std::nan(""), HUGE_VAL}) {
    Model model(spec, at::kFloat);
    model.parameters().values()[5] = poison;

    EXPECT_FALSE(std::isfinite(model.passes().add_gradients(batch.rows(0, 2), {}, 1)));
  }
}

}  // namespace
}  // namespace ration::train
