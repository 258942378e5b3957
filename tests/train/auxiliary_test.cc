#include "train/auxiliary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "data/pool_builder.h"
#include "train/device/pack.h"
#include "train/policy_time.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

// Auxiliary data of the tiny run's vocabulary: one source that follows the target's rule and one of
// noise.
class MixedRun {
 public:
  MixedRun() {
    const auto documents = [](std::uint64_t seed, double surprise) {
      Stream stream(seed, StreamId::documents);
      test::Documents all(40);
      for (auto& document : all) {
        auto token = static_cast<std::uint32_t>(stream.below(16));
        for (int i = 0; i < 10; ++i) {
          document.push_back(token);
          token = static_cast<std::uint32_t>(stream.uniform() < surprise ? stream.below(16)
                                                                         : (token + 3) % 16);
        }
        document.push_back(16);
      }
      return all;
    };
    std::vector<run::AuxSource> sources;
    for (const auto& [name, surprise] : {std::pair{"alike", 0.1}, {"noise", 1.0}}) {
      const Path folder = data / name;
      if (!real_files().make_folders(folder)) throw std::runtime_error("cannot make a folder");
      const auto manifest = test::write_pool(folder, documents(surprise < 1 ? 7 : 8, surprise), 17);
      sources.push_back({.data_digest = manifest.digest});
      if (surprise < 1) alike = manifest.digest;
      data.execution.aux_data += (data.execution.aux_data.empty() ? "" : ":") + folder.string();
    }
    data.spec.aux = run::aux_text(sources);
    data.spec.aux_share = 0.5;
    data.spec.subset_seed = 3;
    data.execution.products = "own";
  }

  void policy(const std::string& name) {
    data.spec.policy = name;
    data.spec.policy_pulls = 2;
    data.spec.policy_warmup = 8;
    data.spec = run::resolve(data.spec);
  }

  std::size_t arm_alike() const {
    return run::parse_aux(data.spec.aux).value()[0].data_digest == alike ? 0 : 1;
  }

  test::TinyData data;
  std::string alike;
};

struct World {
  int stop_after = -1;  // looks at the flag
  Surroundings surroundings{
      .files = real_files(),
      .clock = system_clock(),
      .stop_requested = [this] { return stop_after >= 0 && stop_after-- == 0; },
      .show_line = {}};
};

WorkerOutcome carry_out(const run::RunFolder& folder, int stop_after = -1) {
  World world;
  world.stop_after = stop_after;
  return work({.run_folder = folder.path()}, world.surroundings);
}

class EveryPolicy : public testing::TestWithParam<std::string> {};

TEST_P(EveryPolicy, TrainsOnTargetAndSourcesInTheirShares) {
  MixedRun mixed;
  mixed.policy(GetParam());
  const run::RunFolder folder = mixed.data.create("run");

  const WorkerOutcome outcome = carry_out(folder);

  ASSERT_EQ(outcome.exit, WorkerExit::done) << (outcome.error ? outcome.error->describe() : "");
  const Json result = test::result_of(folder);
  EXPECT_EQ(result["tokens"], mixed.data.spec.tokens);
  EXPECT_DOUBLE_EQ(result["epochs"].get<double>(), 52.0 / 40);  // half of 104 sequences
  ASSERT_EQ(result["sources"].size(), 2U);
  EXPECT_EQ(result["sources"][0]["tokens"].get<int>() + result["sources"][1]["tokens"].get<int>(),
            52 * 8);
  for (const run::Event& event : test::effective_events(folder)) {
    if (event.type != run::EventType::train) continue;
    const Json mixture = event.values.at("mixture");
    EXPECT_NEAR(mixture["p"][0].get<double>() + mixture["p"][1].get<double>(), 1, 1e-12);
  }
}

TEST_P(EveryPolicy, StoppedAndContinuedEqualsUninterruptedBitForBit) {
  MixedRun mixed;
  mixed.policy(GetParam());
  const run::RunFolder straight = mixed.data.create("straight");
  const run::RunFolder stopped = mixed.data.create("stopped");
  ASSERT_EQ(carry_out(straight).exit, WorkerExit::done);

  ASSERT_EQ(carry_out(stopped, 9).exit, WorkerExit::preempted);
  ASSERT_EQ(carry_out(stopped, 6).exit, WorkerExit::preempted);
  ASSERT_EQ(carry_out(stopped).exit, WorkerExit::done);

  for (const char* file : {"model.safetensors", "state.safetensors"})
    EXPECT_EQ(test::final_bytes(stopped, file), test::final_bytes(straight, file)) << file;
  const auto lines = [](const run::RunFolder& folder) {
    std::map<std::int64_t, Json> all;
    for (const run::Event& event : test::effective_events(folder))
      if (event.type == run::EventType::train) all[event.step] = event.values.at("mixture");
    return all;
  };
  EXPECT_EQ(lines(stopped), lines(straight));
  EXPECT_EQ(test::result_of(stopped)["sources"], test::result_of(straight)["sources"]);
}

// Measured where the policy learns while training, over all attempts; a fixed one costs nothing.
TEST_P(EveryPolicy, IsChargedWhatItWasMeasuredToCost) {
  MixedRun mixed;
  mixed.policy(GetParam());
  const run::RunFolder folder = mixed.data.create("run");
  ASSERT_EQ(carry_out(folder, 9).exit, WorkerExit::preempted);
  ASSERT_EQ(carry_out(folder).exit, WorkerExit::done);

  const Json result = test::result_of(folder);
  const Json done = test::effective_events(folder).back().values;

  if (!run::is_online(mixed.data.spec)) {
    EXPECT_FALSE(result.contains("policy_overhead"));
    EXPECT_FALSE(result.contains("flops_charged"));
    EXPECT_FALSE(done.contains("policy_overhead"));
    return;
  }
  const double overhead = result["policy_overhead"];
  EXPECT_GT(overhead, 0);
  EXPECT_EQ(done["policy_overhead"], overhead);
  EXPECT_EQ(done["flops_charged"], result["flops_charged"]["exact"]);
  for (const auto& [convention, per_token] : result["flops_per_token"].items())
    EXPECT_DOUBLE_EQ(result["flops_charged"][convention].get<double>(),
                     per_token.get<double>() * result["tokens"].get<double>() * (1 + overhead))
        << convention;
}

// What the policy needs before the first step is told by the attempt that finishes, too.
TEST(Ucb1, IsChargedForItsWarmUpByALaterAttempt) {
  MixedRun mixed;
  mixed.policy("ucb1");
  const run::RunFolder folder = mixed.data.create("run");
  const auto policy_seconds = [&](int attempt, int step) {
    const Path meta =
        folder.attempt_path(attempt) / ("checkpoint-" + std::to_string(step)) / "meta.json";
    return PolicyTime::from(
        parse_json(real_files().read(meta).value(), "meta").value()["progress"]["policy_time"]);
  };
  ASSERT_EQ(carry_out(folder, 9).exit, WorkerExit::preempted);
  const int stopped = static_cast<int>(test::effective_events(folder).back().step);
  ASSERT_EQ(carry_out(folder).exit, WorkerExit::done);

  EXPECT_GT(policy_seconds(1, stopped).policy, 0);
  EXPECT_GT(policy_seconds(2, 26).policy, policy_seconds(1, stopped).policy);
  EXPECT_GT(policy_seconds(2, 26).training, policy_seconds(1, stopped).training);
}

TEST(PolicyTime, IsAShareOfTheTimeWithoutThePolicy) {
  EXPECT_DOUBLE_EQ(PolicyTime({.policy = 2, .training = 22}).overhead().value(), 0.1);
  EXPECT_FALSE(PolicyTime().overhead());
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         EveryPolicy,
                         testing::Values("fixed", "proportional", "exp3", "ucb1", "odm"));

class EveryRewardParameter : public testing::TestWithParam<std::string> {};

// The twin of a GPU's step against the processor's passes: the same sources, rewards within the
// rounding of fp32.
TEST_P(EveryRewardParameter, GivesTheSameRewardsOnADevice) {
  MixedRun mixed;
  mixed.policy("exp3");
  mixed.data.spec.reward_params = GetParam();
  mixed.data.spec.tied = GetParam() != "head";
  mixed.data.spec.precision = "fp64";
  const run::RunFolder own = mixed.data.create("own"), twin = mixed.data.create("twin");
  ASSERT_EQ(carry_out(own).exit, WorkerExit::done);

  World world;
  device::Pack pack(1, {});
  bool seated = false;
  ASSERT_EQ(
      work({.run_folder = twin.path(), .pack = &pack, .seated = &seated}, world.surroundings).exit,
      WorkerExit::done);

  const auto rewards = [](const run::RunFolder& folder) {
    std::vector<std::pair<std::int64_t, Json>> all;
    for (const run::Event& event : test::effective_events(folder))
      if (event.type == run::EventType::train)
        all.emplace_back(event.step, event.values.at("mixture"));
    return all;
  };
  const auto a = rewards(own), b = rewards(twin);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].second["pulls"], b[i].second["pulls"]) << "step " << a[i].first;
    for (std::size_t arm = 0; arm < 2; ++arm) {
      if (a[i].second["reward"][arm].is_null()) continue;
      EXPECT_NEAR(
          a[i].second["reward"][arm].get<double>(), b[i].second["reward"][arm].get<double>(), 1e-9)
          << "step " << a[i].first << ", arm " << arm;
    }
  }
  EXPECT_NEAR(test::result_of(own)["final_loss"].get<double>(),
              test::result_of(twin)["final_loss"].get<double>(),
              1e-9);
}

INSTANTIATE_TEST_SUITE_P(Parameters,
                         EveryRewardParameter,
                         testing::Values("head", "last_block", "all", "projected"));

// What a step's parts say against gradients that LibTorch makes of each part alone.
TEST(StepParts, HaveTheLossesAndGradientsOfTheirSequencesAlone) {
  MixedRun mixed;
  mixed.policy("exp3");
  run::RunSpec spec = mixed.data.spec;
  spec.precision = "fp64";
  spec.reward_params = "all";
  Model model(spec, at::kDouble);
  AdamW optimiser(spec, model.parameters());
  Batch batch = drawn_batch(spec, 0);  // 4 sequences
  batch.parts = {{.first = 0, .count = 2}, {.first = 2, .count = 1}, {.first = 3, .count = 1}};
  const auto alone = [&](const BatchPart& part) {
    model.parameters().grads().zero_();
    const Batch own{batch.inputs.narrow(0, part.first, part.count),
                    batch.targets.narrow(0, part.first, part.count)};
    const at::Tensor logits = model.logits(own.inputs);
    const at::Tensor loss = model.loss_sum(logits, own.targets) / own.tokens();
    loss.backward();
    return std::pair(loss.item<double>(), model.parameters().grads().clone());
  };
  std::vector<std::pair<double, at::Tensor>> expected;
  for (const BatchPart& part : batch.parts) expected.push_back(alone(part));
  RewardGradients rewards(spec, reward_regions(spec, model.parameters()));

  const StepResult result = train_step(
      model, optimiser, batch, {.lr = 0, .clip = 0, .rewards = &rewards, .only_look = true});

  ASSERT_EQ(result.parts.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(result.parts[i].loss, expected[i].first, 1e-12);
  for (std::size_t i = 1; i < 3; ++i) {
    const at::Tensor &t = expected[0].second, &s = expected[i].second;
    EXPECT_NEAR(result.parts[i].sums.dot, (t * s).sum().item<double>(), 1e-12);
    EXPECT_NEAR(result.parts[i].sums.target_square, (t * t).sum().item<double>(), 1e-12);
    EXPECT_NEAR(result.parts[i].sums.source_square, (s * s).sum().item<double>(), 1e-12);
  }
}

// And the step is the one that is made of the whole batch at once.
TEST(StepParts, ChangeNothingOfTheStepButRounding) {
  MixedRun mixed;
  mixed.policy("exp3");
  run::RunSpec spec = mixed.data.spec;
  spec.precision = "fp64";
  Batch batch = drawn_batch(spec, 0);
  const auto after = [&](const Batch& of) {
    Model model(spec, at::kDouble);
    AdamW optimiser(spec, model.parameters());
    RewardGradients rewards(spec, reward_regions(spec, model.parameters()));
    const StepResult result = train_step(model, optimiser, of, {.lr = 1e-2, .rewards = &rewards});
    return std::pair(result, model.parameters().values().detach().clone());
  };
  const auto [whole, values] = after(batch);
  batch.parts = {{.first = 0, .count = 1}, {.first = 1, .count = 3}};

  const auto [parted, same_values] = after(batch);

  EXPECT_NEAR(parted.loss, whole.loss, 1e-12);
  EXPECT_NEAR(parted.grad_norm, whole.grad_norm, 1e-12);
  EXPECT_LT((values - same_values).abs().max().item<double>(), 1e-9);
}

TEST(Projection, KeepsCosinesWithinItsError) {
  run::RunSpec spec;
  spec.reward_params = "projected";
  const std::int64_t size = 50'000;
  const std::vector<Region> regions = {{.offset = 0, .length = size, .tensor = 0}};
  RewardGradients projected(spec, regions);
  spec.reward_params = "all";
  RewardGradients exact(spec, regions);
  Stream stream(4, StreamId::init);
  at::Tensor a = at::empty({size}, at::kDouble), b = at::empty({size}, at::kDouble);
  for (std::int64_t i = 0; i < size; ++i) {
    a.data_ptr<double>()[i] = stream.normal();
    b.data_ptr<double>()[i] = a.data_ptr<double>()[i] + stream.normal();
  }
  for (RewardGradients* each : {&projected, &exact}) each->take_target(a);
  const double one = data::reward(data::RewardKind::alignment, projected.compare(b));
  const double other = data::reward(data::RewardKind::alignment, exact.compare(b));
  EXPECT_NEAR(one, other, 4 / std::sqrt(65536));
}

TEST(MixedRuns, AreRefusedWhereTheirSourcesDoNotSuffice) {
  MixedRun mixed;
  std::vector<run::AuxSource> sources = run::parse_aux(mixed.data.spec.aux).value();
  for (run::AuxSource& source : sources) source.unique_tokens = 80, source.max_epochs = 2;
  mixed.data.spec.aux = run::aux_text(sources);

  const WorkerOutcome outcome = carry_out(mixed.data.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  ASSERT_TRUE(outcome.error);
  EXPECT_THAT(outcome.error->what, HasSubstr("takes 52 auxiliary sequences, its sources give 40"));
}

TEST(MixedRuns, AreRefusedWhereAFolderIsMissing) {
  MixedRun mixed;
  mixed.data.execution.aux_data = (mixed.data / "alike").string();

  const WorkerOutcome outcome = carry_out(mixed.data.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  ASSERT_TRUE(outcome.error);
  EXPECT_THAT(outcome.error->what, HasSubstr("no folder of aux_data holds"));
}

TEST(OnlinePolicies, KeepARunFromBeingPackedWithOthers) {
  MixedRun mixed;
  EXPECT_EQ(device::why_not_packable(mixed.data.spec, mixed.data.spec), "");
  mixed.policy("odm");
  EXPECT_THAT(device::why_not_packable(mixed.data.spec, mixed.data.spec), HasSubstr("\"odm\""));
}

TEST(Exp3, TurnsFromNoiseToTheSourceThatIsLikeTheTarget) {
  MixedRun mixed;
  mixed.data.spec.tokens = 4000 * mixed.data.spec.context;
  mixed.policy("exp3");
  const run::RunFolder folder = mixed.data.create("run");
  ASSERT_EQ(carry_out(folder).exit, WorkerExit::done);
  const std::size_t arm = mixed.arm_alike();
  const Json sources = test::result_of(folder)["sources"];
  EXPECT_GT(sources[arm]["tokens"].get<double>(), sources[1 - arm]["tokens"].get<double>());
}

}  // namespace
}  // namespace ration::train
