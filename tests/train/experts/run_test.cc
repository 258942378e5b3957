// Runs with experts: resumed, resumed again, and refused.

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "train/adamw.h"
#include "train/batches.h"
#include "train/device/runs.h"
#include "train/experts/small_experts.h"
#include "train/experts/two_sources.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

WorkerOutcome work_on(
    const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
  Surroundings world{real_files(), system_clock(), std::move(stop), {}};
  return work({.run_folder = folder.path()}, world);
}

// Asks to stop after so many steps of this attempt.
std::function<bool()> after_steps(int steps) {
  return [steps]() mutable { return --steps <= 0; };
}

// A router, and whether the run reads two sources.
class ResumeWithExperts : public testing::TestWithParam<std::pair<std::string, bool>> {};

TEST_P(ResumeWithExperts, GivesTheBytesOfAnUninterruptedRun) {
  test::TinyData data;
  const auto& [router, two_sources] = GetParam();
  test::add_experts(data, router, two_sources);
  const run::RunFolder straight = data.create("straight");
  const run::RunFolder stopped = data.create("stopped");
  ASSERT_EQ(work_on(straight).exit, WorkerExit::done);

  for (const int steps : {7, 11})
    ASSERT_EQ(work_on(stopped, after_steps(steps)).exit, WorkerExit::preempted);
  ASSERT_EQ(work_on(stopped).exit, WorkerExit::done);

  for (const std::string file : {"model.safetensors", "state.safetensors"})
    EXPECT_EQ(test::final_bytes(stopped, file), test::final_bytes(straight, file)) << file;
  EXPECT_EQ(test::result_of(stopped)["final_loss"], test::result_of(straight)["final_loss"]);
}

INSTANTIATE_TEST_SUITE_P(Routers,
                         ResumeWithExperts,
                         testing::Values(std::pair("smear", false),
                                         std::pair("smear", true),
                                         std::pair("ensemble", false),
                                         std::pair("random", false),
                                         std::pair("hash", false),
                                         std::pair("st_gumbel", false),
                                         std::pair("reinforce", false),
                                         std::pair("dselect", true),
                                         std::pair("top1", false),
                                         std::pair("tag", true),
                                         std::pair("skills", true)),
                         [](const auto& tested) {
                           return tested.param.first +
                                  (tested.param.second ? "_of_two_sources" : "");
                         });

// Entropies and units of the evaluations of a run.
std::vector<Json> evaluations_of(const run::RunFolder& folder) {
  std::vector<Json> found;
  for (const run::Event& event : test::effective_events(folder))
    if (event.type == run::EventType::val) found.push_back(event.values);
  return found;
}

TEST(RunsWithExperts, LogTheEntropyOfEachLayerAtEveryEvaluation) {
  test::TinyData data;
  data.spec.layers = 2;
  test::add_experts(data, "top1");
  const run::RunFolder folder = data.create("run");
  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const std::vector<Json> evaluations = evaluations_of(folder);
  ASSERT_GE(evaluations.size(), 2U);
  for (const Json& values : evaluations) {
    EXPECT_GT(values.at("routed_units"), 0);
    ASSERT_EQ(values.at("expert_entropy").size(), 2U);
    for (const Json& entropy : values.at("expert_entropy")) {
      EXPECT_GT(entropy, 0.3);  // of p, which is no single expert's, and not of the choice
      EXPECT_LE(entropy, 1);
    }
  }
}

// Documents of 11 tokens behind chunks of 12 route nothing.
TEST(RunsWithExperts, SayThatNothingIsRoutedAndLogNoEntropy) {
  test::TinyData data;
  data.spec.context = 16;
  data.spec.unique_tokens = 20 * 16;
  data.spec.tokens = 8 * 16;
  data.spec.router = "smear";
  data.spec.expert_chunk = 12;
  data.spec = run::resolve(data.spec);
  const run::RunFolder folder = data.create("run");
  const WorkerOutcome outcome = work_on(folder);
  ASSERT_EQ(outcome.exit, WorkerExit::done) << (outcome.error ? outcome.error->describe() : "");

  for (const Json& values : evaluations_of(folder)) {
    EXPECT_EQ(values.at("routed_units"), 0);
    EXPECT_FALSE(values.contains("expert_entropy"));
  }
}

TEST(RunsWithExperts, AreRefusedWhereNothingComputesThem) {
  test::TinyData data;
  data.spec.router = "smear";
  data.spec.expert_chunk = 3;
  data.spec = run::resolve(data.spec);
  data.execution.device = "cuda";

  const WorkerOutcome outcome = work_on(data.create("run"));

  EXPECT_NE(outcome.exit, WorkerExit::done);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_THAT(outcome.error->what, HasSubstr("computed on the processor alone"));
  EXPECT_THAT(device::why_not_packable(data.spec, data.spec), HasSubstr("has experts"));
}

TEST(RunsWithExperts, RefuseABalanceOverPartsOfAStep) {
  test::TinyData data;
  data.spec.router = "top1";
  data.spec.expert_chunk = 3;
  data.spec.router_balance = 0.01;
  data.spec = run::resolve(data.spec);
  data.execution.micro_batch_sequences = 1;

  const WorkerOutcome outcome = work_on(data.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(outcome.error->what, HasSubstr("router_balance"));
}

TEST(RunsWithExperts, UpdateTheRouterAtItsOwnRate) {
  run::RunSpec spec = test::expert_spec("smear");
  spec.weight_decay = 0;
  const auto moved = [&](double router_lr, const std::string& name) {
    spec.router_lr = router_lr;
    Parameters parameters(spec, at::kDouble);
    AdamW optimiser(spec, parameters);
    const at::Tensor before = parameters.at(name).value.detach().clone();
    parameters.grads().fill_(1);
    optimiser.step(parameters, 1e-3, 1);
    return (parameters.at(name).value.detach() - before).abs().max().item<double>();
  };

  for (const std::string name : {"h0.router.columns.w", "h1.router.ln.b"})
    EXPECT_NEAR(moved(3, name), 3 * moved(1, name), 1e-12) << name;
  for (const std::string name : {"h0.experts.2.up.w", "lnf.g", "wte"})
    EXPECT_NEAR(moved(3, name), moved(1, name), 1e-15) << name;
}

TEST(ToldSources, AreWrongInThePartThatIsAskedFor) {
  constexpr std::uint32_t kWindows = 4000;
  const Origin origin{.source = 2, .sources = 4, .noise = 0.5, .seed = 3};
  int right = 0;
  for (std::uint32_t window = 0; window < kWindows; ++window) {
    EXPECT_EQ(origin.told(window), origin.told(window));
    right += origin.told(window) == 2;
  }

  // Half of them, and a quarter of those that are drawn.
  EXPECT_NEAR(right / static_cast<double>(kWindows), 0.625, 4 * std::sqrt(0.25 / kWindows));
  EXPECT_EQ((Origin{.source = 1, .sources = 4}.told(9)), 1);
}

}  // namespace
}  // namespace ration::train
