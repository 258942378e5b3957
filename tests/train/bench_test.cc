#include "train/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/safetensors.h"
#include "train/memory.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kTiny = {"width=16", "heads=2", "context=32", "vocab=32"};

TEST(Bench, TellsSpeedMemoryAndWhereTheTimeGoes) {
  const Result<Json> report = bench({.settings = kTiny, .steps = 5}, real_files());

  ASSERT_TRUE(report) << report.error().describe();
  double shares = 0;
  for (const auto& [stage, share] : report->at("stages").items()) {
    EXPECT_GE(share.get<double>(), 0) << stage;
    shares += share.get<double>();
  }
  EXPECT_NEAR(shares, 1, 1e-9);                // rounding
  EXPECT_EQ(report->at("losses").size(), 6U);  // one step more, that is not timed
  EXPECT_NEAR(
      report->at("losses")[0].get<double>(), std::log(32), 0.1);  // drawn tokens, first weights
  EXPECT_GT(report->at("mfu").get<double>(), 0);
  EXPECT_LT(report->at("mfu").get<double>(), 1);
  EXPECT_THAT(bench_text(*report), HasSubstr("tok/s of CPU time"));
}

TEST(Bench, TellsWhatAPolicyAddsToAStep) {
  for (const char* precision :
       {"precision=fp32", "precision=bf16"}) {  // passes, and a GPU's kernels
    std::vector<std::string> settings = kTiny;
    for (const char* more : {"policy=ucb1", "reward_params=all", precision})
      settings.emplace_back(more);

    const Result<Json> report = bench({.settings = settings, .steps = 4}, real_files());

    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_EQ(report->at("sources"), 2);
    EXPECT_EQ(report->at("steps"), 4);
    EXPECT_GT(report->at("policy_overhead").get<double>(), 0);
    EXPECT_GT(report->at("formula").get<double>(), 0);
    EXPECT_GT(report->at("before_first_step_s").get<double>(), 0);
    EXPECT_THAT(bench_text(*report), HasSubstr("as a run measures it"));
  }
}

TEST(Bench, TakesTheSettingsOfARun) {
  test::TinyData data;
  const run::RunFolder folder = data.create("run");

  for (const Path& path : {folder.path(), folder.spec_path()}) {
    const Result<run::RunFile> subject = bench_subject({.run = path}, real_files());
    ASSERT_TRUE(subject) << subject.error().describe();
    EXPECT_EQ(subject->spec, data.spec);
  }
  const Result<run::RunFile> wider =
      bench_subject({.run = folder.path(), .settings = {"width=24", "threads=2"}}, real_files());
  ASSERT_TRUE(wider) << wider.error().describe();
  EXPECT_EQ(wider->spec.mlp_width, 64);  // 8/3 of 24, not what it was for 8
  EXPECT_EQ(wider->execution.threads, 2);
}

TEST(Bench, NamesTheSettingThatItCannotUse) {
  for (const auto& [setting, word] :
       std::vector<std::pair<std::string, std::string>>{{"widht=64", "widht"},
                                                        {"width=wide", "width"},
                                                        {"width=63", "63"},
                                                        {"width", "name=value"}}) {
    const Result<Json> report = bench({.settings = {setting}, .steps = 1}, real_files());
    ASSERT_FALSE(report) << setting;
    EXPECT_THAT(report.error().describe(), HasSubstr(word));
  }
}

TEST(Bench, ExportsFirstWeightsAndTokensForOtherPrograms) {
  const test::TemporaryFolder folder;
  const Path file = folder / "bench.safetensors";

  ASSERT_TRUE(bench({.settings = kTiny, .steps = 2, .export_to = file}, real_files()));

  const Result<checkpoint::TensorFile> tensors = checkpoint::TensorFile::open(real_files(), file);
  ASSERT_TRUE(tensors) << tensors.error().describe();
  EXPECT_EQ(tensors->find("tokens")->shape, (std::vector<std::uint64_t>{3, 8, 33}));
  EXPECT_EQ(tensors->find("h3.mlp.up.w")->shape, (std::vector<std::uint64_t>{64, 16}));
  EXPECT_TRUE(tensors->metadata().contains("spec"));
}

// The formula of docs/training.md by hand: 4 layers of width 64 without biases, vocabulary 256,
// context 256.
TEST(Memory, OfAModelIsWhatTheFormulaSays) {
  const run::RunFile file = bench_subject({.settings = {"vocab=256"}}, real_files()).value();

  const MemoryNeed need = memory_need(file.spec, file.execution);

  const double layers = 4 * (12 * 64 * 64 + 2 * 64) + 64, embedding = 256 * 64,
               positions = 256 * 64;
  EXPECT_EQ(need.state_bytes, 16 * (layers + embedding + positions));
  EXPECT_EQ(need.rearranged_bytes, 4 * (layers + embedding));
  EXPECT_EQ(need.activation_bytes,
            4 * 256 * (4 * (8 * 64 + 2 * 256) + 3 * 64 + 256 + 6 * 64 + 256));
  // Attention over 256 positions of width 16, statistics of 256 rows, ids of 2,048 tokens.
  EXPECT_NEAR(need.scratch_bytes, 4 * 46e3 + 256 * (4 * 34 + 8) + 16 * 2048, 4 * 2e3);
}

// 8 experts of a layer, each with a transposed copy. All 8 sequences are computed together.
TEST(Memory, OfMergedExpertsIsWhatTheFormulaSays) {
  const run::RunFile file =
      bench_subject({.settings = {"vocab=256", "router=smear"}}, real_files()).value();

  const MemoryNeed need = memory_need(file.spec, file.execution);

  const double expert = 2 * 64 * 256, router = (8 + 3) * 64;
  const double layers = 4 * (4 * 64 * 64 + 2 * 64) + 64, embedding = 256 * 64, positions = 256 * 64;
  EXPECT_EQ(need.state_bytes, 16 * (layers + 4 * (8 * expert + router) + embedding + positions));
  EXPECT_EQ(need.rearranged_bytes, 4 * (layers + 4 * 8 * expert + embedding));
  EXPECT_EQ(need.activation_bytes,
            4.0 * 2048 * (4 * (9 * 64 + 2 * 256) + 3 * 64 + 256 + 6 * 64 + 256));
}

TEST(Memory, OfAWideMlpHoldsItsHiddenNumbers) {
  const run::RunFile file =
      bench_subject({.settings = {"vocab=256", "router=dense_wide"}}, real_files()).value();

  const MemoryNeed need = memory_need(file.spec, file.execution);

  const double rows =
      need.activation_bytes / (4.0 * (4 * (9 * 64 + 2 * 2048) + 3 * 64 + 256 + 6 * 64 + 2048));
  EXPECT_EQ(rows, 2048);
}

// What is there in fact: at most a tenth above the formula.
TEST(Memory, OfARunningModelStaysWithinATenthOfTheFormula) {
  const Json report =
      bench({.settings = {"vocab=256", "layers=6", "width=128", "products=own"}, .steps = 2},
            real_files())
          .value();

  const double measured = report["memory"]["measured_bytes"];
  const double predicted = report["memory"]["predicted_bytes"];

  EXPECT_LT(measured, 1.1 * predicted);
}

// Of experts that are merged. What LibTorch holds of the router is not in the formula.
TEST(Memory, OfARunningModelWithExpertsStaysNearTheFormula) {
  const Json report =
      bench({.settings = {"vocab=256", "width=128", "router=smear", "products=own"}, .steps = 2},
            real_files())
          .value();

  const double measured = report["memory"]["measured_bytes"];
  const double predicted = report["memory"]["predicted_bytes"];

  EXPECT_LT(measured, 1.1 * predicted);
  EXPECT_GT(measured, 0.7 * predicted);
}

}  // namespace
}  // namespace ration::train
