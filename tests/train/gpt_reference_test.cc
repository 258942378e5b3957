// The model, its gradients and AdamW against known answers; tests/vectors/gpt_reference.md says how
// they were made.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/vectors.h"
#include "train/reference_case.h"
#include "train/step.h"

namespace ration::train {
namespace {

// |got - want| relative to |want|, with an absolute floor for sums that are zero up to rounding.
void expect_near(
    double got, double want, double relative, const std::string& what, double floor = 1) {
  EXPECT_NEAR(got, want, relative * std::max(std::abs(want), floor)) << what;
}

struct Precision {
  at::ScalarType dtype;
  double loss;    // relative tolerance of losses, global gradient norms and clip coefficients
  double values;  // of logits, gradients and weights: sums of many terms
};

class GptReference : public testing::TestWithParam<std::string> {
 protected:
  void check(const Precision& precision) {
    const Json reference = test::vectors("gpt_reference.json")["cases"][GetParam()];
    const Json& config = reference["config"];
    const run::RunSpec spec = test::reference_spec(config);
    Model model(spec, precision.dtype);
    test::set_reference_weights(model.parameters(), reference["param_order"]);
    AdamW optimiser(spec, model.parameters());
    check_logits(model, config, reference, precision);
    check_training(model, optimiser, config, reference, precision);
    check_weights(model, reference, precision);
  }

 private:
  static void check_logits(const Model& model,
                           const Json& config,
                           const Json& reference,
                           const Precision& precision) {
    const c10::NoGradGuard no_grad;
    const Batch batch = test::reference_batch(config, 0);
    const at::Tensor logits = model.logits(batch.inputs).to(at::kDouble);
    EXPECT_EQ(batch.inputs[0][1].item<std::int64_t>(),
              reference["batch0_inputs"][0][1].get<std::int64_t>());
    expect_near(logits.sum().item<double>(),
                reference["logits_sum"],
                precision.values,
                "sum of logits",
                10);
    expect_near(at::square(logits).sum().item<double>(),
                reference["logits_sumsq"],
                precision.values,
                "sum of squared logits");
    for (std::size_t t = 0; t < reference["logits_b0"].size(); ++t)
      for (std::size_t v = 0; v < reference["logits_b0"][t].size(); ++v)
        expect_near(
            logits[0][static_cast<std::int64_t>(t)][static_cast<std::int64_t>(v)].item<double>(),
            reference["logits_b0"][t][v],
            precision.values,
            "logit");
  }

  static void check_training(Model& model,
                             AdamW& optimiser,
                             const Json& config,
                             const Json& reference,
                             const Precision& precision) {
    for (const Json& expected : reference["train"]) {
      const std::int64_t step = expected["step"];
      const Batch batch = test::reference_batch(config, step);
      const StepResult got =
          train_step(model,
                     optimiser,
                     batch,
                     {.lr = expected["lr"], .clip = config["opt"]["clip"], .step = step});
      expect_near(got.loss, expected["loss_before"], precision.loss, "loss", 0);
      expect_near(
          got.grad_norm, expected["grad_norm_before_clip"], precision.loss, "gradient norm", 0);
      expect_near(got.clip, expected["clip_coef"], precision.loss, "clip coefficient", 0);
      if (step == 0) check_gradients(model, reference, precision);
    }
    const c10::NoGradGuard no_grad;
    const Batch first = test::reference_batch(config, 0);
    const double after = model.loss_sum(model.logits(first.inputs), first.targets).item<double>() /
                         static_cast<double>(first.tokens());
    expect_near(after,
                reference["loss_batch0_after"],
                precision.loss,
                "loss of the first batch after five updates",
                0);
  }

  static void check_gradients(Model& model, const Json& reference, const Precision& precision) {
    for (const auto& [name, expected] : reference["grad"].items()) {
      const at::Tensor grad = model.parameters().at(name).grad.to(at::kDouble).reshape(-1);
      expect_near(grad.norm().item<double>(), expected["l2"], precision.values, name, 1e-2);
      expect_near(grad.sum().item<double>(), expected["sum"], precision.values, name);
      for (std::int64_t i = 0; i < 3; ++i)
        expect_near(grad[i].item<double>(),
                    expected["first3"][static_cast<std::size_t>(i)],
                    precision.values,
                    name,
                    0.1);
    }
  }

  // A key bias has an exactly zero gradient; Adam scales its rounding noise up, so it is compared
  // in double only.
  static void check_weights(Model& model, const Json& reference, const Precision& precision) {
    for (const auto& [name, expected] : reference["param_after"].items()) {
      if (precision.dtype != at::kDouble && name.ends_with("attn.qkv.b")) continue;
      const at::Tensor value =
          model.parameters().at(name).value.detach().to(at::kDouble).reshape(-1);
      expect_near(value.norm().item<double>(), expected["l2"], precision.values, name);
      for (std::int64_t i = 0; i < 2; ++i)
        expect_near(value[i].item<double>(),
                    expected["first2"][static_cast<std::size_t>(i)],
                    10 * precision.values,
                    name,
                    0.1);
    }
  }
};

TEST_P(GptReference, IsMatchedInDoublePrecision) { check({at::kDouble, 1e-10, 1e-9}); }
// Adam divides by the size of each gradient, so that rounding noise in one near zero moves its
// weight by a whole step: the norm after the first update differs by up to 8.4e-6, losses
// by 2.3e-6.
TEST_P(GptReference, IsMatchedInSinglePrecision) { check({at::kFloat, 1e-5, 1e-4}); }

INSTANTIATE_TEST_SUITE_P(AllCases,
                         GptReference,
                         testing::Values("gpt2_bias_tied_gelu_tanh",
                                         "gpt2_nobias_tied_gelu_erf",
                                         "llama_untied_swiglu",
                                         "llama_tied_relu2"),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace ration::train
