// Models with experts: the passes that training runs against the definition, and that no position
// sees what follows it.

#include "train/passes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>

#include "train/experts/small_experts.h"
#include "train/model.h"
#include "train/step.h"

namespace ration::train {
namespace {

using test::about;
using test::expert_batch;
using test::expert_spec;
using Variant = test::SmallModel;

std::vector<Variant> variants() {
  std::vector<Variant> all;
  const auto add = [&](std::string name, run::RunSpec spec, auto change) {
    change(spec);
    all.push_back({std::move(name), run::resolve(std::move(spec))});
  };
  const auto as_is = [](auto&) {};
  for (const std::string& router : test::all_routers()) {
    add(router, expert_spec(router), as_is);
    add(router + "_adapter", expert_spec(router, "adapter"), as_is);
    add(router + "_lowrank", expert_spec(router, "lowrank", "llama"), as_is);
  }
  add("dense_adapter", expert_spec("dense", "adapter"), as_is);
  add("smear_swiglu_odd", expert_spec("smear", "ffn", "llama"), [](auto& s) {
    s.expert_layers = "odd";
    s.dropout = 0.2;
  });
  add("smear_prefix_biases", expert_spec("smear"), [](auto& s) {
    s.expert_mode = "prefix";
    s.bias = true;
    s.z_loss = 1e-2;
  });
  add("adapter_biases_dropout", expert_spec("smear", "adapter"), [](auto& s) {
    s.bias = true;
    s.dropout = 0.2;
  });
  add("top1_balanced", expert_spec("top1"), [](auto& s) { s.router_balance = 0.5; });
  add("random_swiglu", expert_spec("random", "ffn", "llama"), as_is);
  return all;
}

double derived_gradients(Model& model, const Batch& batch, const BatchPlace& place, double weight) {
  model.parameters().grads().zero_();
  const at::Tensor sum = model.objective(batch.inputs, batch.targets, &place, about(batch));
  (sum * weight).backward();
  const at::NoGradGuard no_gradients;
  return model.loss_sum(model.logits(batch.inputs, &place, about(batch)), batch.targets)
      .item<double>();
}

class ExpertPasses : public testing::TestWithParam<Variant> {};

TEST_P(ExpertPasses, GiveTheLossAndGradientsOfTheDefinition) {
  const run::RunSpec& spec = GetParam().spec;
  ASSERT_TRUE(run::check(spec).empty()) << run::check(spec)[0].what;
  Model written(spec, at::kDouble), derived(spec, at::kDouble);
  for (Model* model : {&written, &derived}) test::sharpen_routers(model->parameters());
  const BatchPlace place{.step = 3, .first_sequence = 2};
  const Batch batch = expert_batch(spec, 5, spec.context);

  const double got = written.passes().add_gradients(batch.rows(0, 5), place, 0.01);
  const double want = derived_gradients(derived, batch, place, 0.01);

  EXPECT_NEAR(got, want, 1e-12 * want);
  test::expect_equal_gradients(
      [&](const std::string& name) { return written.parameters().at(name).grad; },
      derived.parameters(),
      1e-11);
}

TEST_P(ExpertPasses, GiveTheHeldOutLossOfTheDefinitionAlsoOfShorterSequences) {
  const run::RunSpec& spec = GetParam().spec;
  Model model(spec, at::kDouble);
  test::sharpen_routers(model.parameters());
  const c10::InferenceMode no_gradients;
  for (const std::int64_t positions : {20, 17, 9, 8, 5}) {
    const Batch batch = expert_batch(spec, 3, positions);

    const double got = model.passes().loss_sum(batch.rows(0, 3));

    const at::Tensor logits = model.logits(batch.inputs, nullptr, about(batch));
    const double want = model.loss_sum(logits, batch.targets).item<double>();
    EXPECT_NEAR(got, want, 1e-12 * want) << positions;
  }
}

TEST_P(ExpertPasses, DoNotDependOnTheMicroBatch) {
  const run::RunSpec& spec = GetParam().spec;
  if (spec.router_balance > 0) return;  // a loss of the whole batch, which no run cuts
  Model whole(spec, at::kDouble), parts(spec, at::kDouble);
  const Batch batch = expert_batch(spec, 5, spec.context);

  whole.passes().add_gradients(batch.rows(0, 5), {.step = 7}, 1);
  parts.passes().add_gradients(batch.rows(0, 2), {.step = 7}, 1);
  parts.passes().add_gradients(batch.rows(2, 3), {.step = 7, .first_sequence = 2}, 1);

  test::expect_equal_gradients(
      [&](const std::string& name) { return parts.parameters().at(name).grad; },
      whole.parameters(),
      1e-11);
}

// Bit for bit: of the definition and of the passes, whatever the changed token is; of the
// definition in training, too, with everything that is drawn there.
TEST_P(ExpertPasses, ShowNoPositionWhatFollowsIt) {
  const run::RunSpec& spec = GetParam().spec;
  const c10::InferenceMode no_gradients;
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    Model model(spec, type);
    test::sharpen_routers(model.parameters());
    const Batch batch = expert_batch(spec, 2, spec.context);
    const auto compute = [&](const Batch& of) {
      std::vector<double> losses(static_cast<std::size_t>(of.tokens()));
      model.passes().token_losses(of.rows(0, 2), losses);
      const BatchPlace place{.step = 2, .first_sequence = 4};
      return std::array{model.logits(of.inputs, nullptr, about(of)),
                        model.logits(of.inputs, &place, about(of)),
                        at::tensor(losses, at::kDouble).view(of.inputs.sizes())};
    };
    const std::array usual = compute(batch);
    for (std::int64_t j = 0; j < spec.context; ++j) {
      Batch changed = batch;
      changed.inputs = batch.inputs.clone();
      changed.inputs.select(1, j).copy_(
          j % 3 == 0 ? at::full({2}, test::kEndToken, at::kLong)
                     : (batch.inputs.select(1, j) + 11).remainder(spec.vocab));

      const std::array other = compute(changed);

      for (std::size_t i = 0; i < usual.size(); ++i)
        EXPECT_TRUE(other[i].narrow(1, 0, j).equal(usual[i].narrow(1, 0, j))) << i << " " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExpertPasses, testing::ValuesIn(variants()), [](const auto& tested) {
  return tested.param.name;
});

}  // namespace
}  // namespace ration::train
