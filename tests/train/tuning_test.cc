// Training of a part of the parameters: head, or norms and biases.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "train/device/runs.h"
#include "train/reference_steps.h"
#include "train/small_models.h"
#include "train/step.h"

namespace ration::train {
namespace {

struct Case {
  const char* family;
  const char* mlp;
  const char* tune;
  const char* parametrisation = "standard";
};

run::RunSpec spec_of(const Case& test) {
  run::RunSpec spec = test::small_spec(test.family, test.mlp, 12);
  spec.tied = false;
  spec.bias = spec.family == "gpt2";
  spec.tune = test.tune;
  spec.parametrisation = test.parametrisation;
  spec.batch_sequences = 3;
  spec.clip = 0.5;  // so that the norm of what is tuned decides
  return run::resolve(spec);
}

// By what its name says, not by how the trainer finds it.
bool is_tuned(const std::string& tune, const TrainedTensor& tensor) {
  const std::string& name = tensor.name;
  if (tune == "all") return true;
  if (tune == "head") return name == "head.w" || name == "lnf.g" || name == "lnf.b";
  return name.ends_with(".g") || name.ends_with(".b");
}

constexpr int kSteps = 4;
constexpr double kRate = 1e-2;

class Tuning : public testing::TestWithParam<Case> {};

TEST_P(Tuning, LeavesFrozenTensorsBitForBitAndChangesTheOthers) {
  const run::RunSpec spec = spec_of(GetParam());
  Model model(spec, at::kFloat);
  AdamW optimiser(spec, model.parameters());
  const at::Tensor before = model.parameters().values().detach().clone();

  for (int step = 0; step < kSteps; ++step)
    ASSERT_TRUE(train_step(model,
                           optimiser,
                           test::batch_of(spec, 3, 12, step),
                           {.lr = kRate, .clip = spec.clip, .step = step})
                    .updated);

  for (const Parameters::Entry& entry : model.parameters().entries()) {
    const at::Tensor old = before.narrow(0, entry.offset, entry.value.numel());
    EXPECT_EQ(entry.value.detach().view(-1).equal(old),
              !is_tuned(spec.tune, {entry.shape.name, {}}))
        << entry.shape.name;
  }
}

TEST_P(Tuning, IsWhatAutomaticGradientsOfTheTunedTensorsGive) {
  const run::RunSpec spec = spec_of(GetParam());
  Model model(spec, at::kDouble);
  AdamW optimiser(spec, model.parameters());
  ReferenceSteps reference(spec, [&](const TrainedTensor& t) { return is_tuned(spec.tune, t); });

  for (int step = 0; step < kSteps; ++step) {
    const Batch batch = test::batch_of(spec, 3, 12, step);
    const StepResult got =
        train_step(model, optimiser, batch, {.lr = kRate, .clip = spec.clip, .step = step});
    const ReferenceSteps::Seen want = reference.step(batch, kRate);
    EXPECT_NEAR(got.loss, want.loss, 1e-10);
    EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-10 * want.grad_norm);
  }

  for (const TrainedTensor& want : reference.tensors())
    EXPECT_TRUE(at::allclose(
        model.parameters().at(want.name).value, want.value, /*rtol=*/0, /*atol=*/1e-10))
        << want.name;
}

// Its host twin: the kernels that a GPU runs.
TEST_P(Tuning, IsTheSameOnADevice) {
  run::RunSpec spec = spec_of(GetParam());
  spec.precision = "fp64";
  run::RunSpec other = spec;
  other.seed = 7;
  const auto runs = device::make_device_runs({spec, other}, {});
  Model first(spec, at::kDouble), second(other, at::kDouble);
  AdamW first_optimiser(spec, first.parameters()), second_optimiser(other, second.parameters());
  runs->load(0, first.parameters(), first_optimiser);
  runs->load(1, second.parameters(), second_optimiser);
  Model twin(other, at::kDouble);
  AdamW twin_optimiser(other, twin.parameters());

  for (int step = 0; step < kSteps; ++step) {
    const Batch batch = test::batch_of(spec, 3, 12, step);
    const device::RunStep each{.batch = &batch, .lr = kRate, .step = step};
    runs->submit(std::vector{each, each});
    const StepResult got = runs->take()[1];
    const StepResult want =
        train_step(twin, twin_optimiser, batch, {.lr = kRate, .clip = spec.clip, .step = step});
    EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-10 * want.grad_norm);
  }
  runs->store(1, second.parameters(), second_optimiser);

  for (const Parameters::Entry& entry : twin.parameters().entries())
    EXPECT_TRUE(at::allclose(
        second.parameters().at(entry.shape.name).value, entry.value, /*rtol=*/0, /*atol=*/1e-10))
        << entry.shape.name;
}

TEST_P(Tuning, LeavesFrozenTensorsBitForBitInMixedPrecision) {
  run::RunSpec spec = spec_of(GetParam());
  spec.precision = "bf16";
  const auto runs = device::make_device_runs({spec}, {});
  Parameters parameters(spec, at::kFloat);
  AdamW optimiser(spec, parameters);
  runs->load(0, parameters, optimiser);
  const at::Tensor before = parameters.values().detach().clone();

  for (int step = 0; step < kSteps; ++step) {
    const Batch batch = test::batch_of(spec, 3, 12, step);
    const device::RunStep each{.batch = &batch, .lr = kRate, .step = step};
    runs->submit({&each, 1});
    ASSERT_TRUE(runs->take()[0].updated);
  }
  runs->store(0, parameters, optimiser);

  for (const Parameters::Entry& entry : parameters.entries()) {
    const at::Tensor old = before.narrow(0, entry.offset, entry.value.numel());
    EXPECT_EQ(entry.value.detach().view(-1).equal(old),
              !is_tuned(spec.tune, {entry.shape.name, {}}))
        << entry.shape.name;
  }
}

INSTANTIATE_TEST_SUITE_P(HeadAndNorms,
                         Tuning,
                         testing::Values(Case{"llama", "swiglu", "head"},
                                         Case{"llama", "swiglu", "norms"},
                                         Case{"gpt2", "gelu_tanh", "head"},
                                         Case{"gpt2", "gelu_tanh", "norms"},
                                         Case{"llama", "relu2", "head", "mup"},
                                         Case{"llama", "relu2", "norms", "mup"},
                                         Case{"llama", "swiglu", "all"}));

}  // namespace
}  // namespace ration::train
