#include "train/pairs/score_pairs.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/hash.h"
#include "checkpoint/safetensors.h"
#include "support/failing_files.h"
#include "train/checkpoint_folder.h"
#include "train/model.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

// A file of this model's weights, as they are at first.
void write_weights(const Path& path, Model& model) {
  std::vector<checkpoint::TensorView> tensors;
  for (const Parameters::Entry& entry : model.parameters().entries()) {
    const at::Tensor value = entry.value.detach();
    const std::vector<std::uint64_t> shape(value.sizes().begin(), value.sizes().end());
    const auto* bytes = static_cast<const std::byte*>(value.const_data_ptr());
    tensors.push_back({entry.shape.name, checkpoint::DType::f32, shape, {bytes, value.nbytes()}});
  }
  ASSERT_TRUE(checkpoint::write_safetensors(real_files(), path, tensors));
}

class ScorePairs : public testing::Test {
 protected:
  ScorePairs() : folder_(data_.create("run")) { write_list(kLines); }

  static constexpr const char* kHeader = "{\"schema\":\"ration.pairs/1\",\"vocab\":17}\n";
  static constexpr const char* kLines =
      "{\"prompt\":[2,5,8]}\n"
      "{\"prompt\":[16]}\n"
      "{\"after\":1,\"choice\":[4]}\n"
      "{\"after\":0,\"choice\":[11,14,1,4,7]}\n"
      "{\"after\":0,\"choice\":[11,0]}\n";

  void train() {
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    ASSERT_EQ(work({.run_folder = folder_.path()}, world).exit, WorkerExit::done);
  }
  void write_list(const std::string& lines) const {
    ASSERT_TRUE(real_files().write_whole(list(), kHeader + lines));
  }

  WorkerOutcome score(PairOptions options, Files& files = real_files()) {
    options.list = list();
    options.output = output();
    Surroundings world{files, system_clock(), [] { return false; }, {}};
    return score_pairs(options, world, [&](const std::string& line) { said_ += line + "\n"; });
  }
  WorkerOutcome score(const Path& checkpoint, std::vector<std::string> settings = {}) {
    return score(
        {.list = {}, .checkpoints = {checkpoint}, .output = {}, .settings = std::move(settings)});
  }
  static std::string problem(const WorkerOutcome& outcome) {
    return outcome.error ? outcome.error->describe() : "no error";
  }

  Path list() const { return data_ / "pairs.jsonl"; }
  Path output() const { return data_ / "scores.jsonl"; }
  std::string bytes() const { return real_files().read(output()).value(); }
  std::vector<Json> lines() const {
    std::istringstream text(bytes());
    std::vector<Json> all;
    for (std::string line; std::getline(text, line);) all.push_back(Json::parse(line));
    return all;
  }
  Path weights() const {
    return folder_.path() / test::result_of(folder_)["checkpoint"].get<std::string>() /
           "model.safetensors";
  }

  test::TinyData data_;
  run::RunFolder folder_;
  std::string said_;
};

TEST_F(ScorePairs, WritesALineForEveryChoiceInTheOrderOfTheList) {
  train();

  const WorkerOutcome outcome = score(folder_.path());

  ASSERT_EQ(outcome.exit, WorkerExit::done) << problem(outcome);
  const std::vector<Json> found = lines();
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0]["schema"], "ration.pair-scores/1");
  EXPECT_EQ(found[0]["checkpoint"], sha256_hex(real_files().read(weights()).value()));
  EXPECT_EQ(found[0]["run"], run::run_id(data_.spec));
  EXPECT_EQ(found[0]["list"], sha256_hex(real_files().read(list()).value()));
  EXPECT_EQ(found[0]["tokens_computed"], 1 + 3 + 4 + 1);
  EXPECT_EQ(found[0]["tokens_alone"], 1 + 7 + 4);
  EXPECT_GE(found[0]["seconds"].get<double>(), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(found[static_cast<std::size_t>(i) + 1]["choice"], i);
  EXPECT_THAT(said_, HasSubstr("3 choices behind 2 prompts, by attempt-1/checkpoint-26"));
}

// Loaded here and asked by the model's own forward pass.
TEST_F(ScorePairs, IsOfTheTrainedWeights) {
  train();
  ASSERT_EQ(score(folder_.path()).exit, WorkerExit::done);
  Model model(data_.spec, at::kFloat);
  ASSERT_TRUE(CheckpointFolder(real_files(), folder_, run::run_id(data_.spec))
                  .load_weights(1, 26, model.parameters()));
  const c10::InferenceMode no_gradients;

  const at::Tensor logp = at::log_softmax(
      model.logits(at::tensor({2, 5, 8, 11, 14, 1, 4}).to(at::kLong).view({1, 7})), -1)[0];

  const Json found = lines()[2]["logp"];
  const int targets[] = {11, 14, 1, 4, 7};
  for (int i = 0; i < 5; ++i)
    EXPECT_NEAR(found[static_cast<std::size_t>(i)].get<double>(),
                logp[2 + i][targets[i]].item<double>(),
                1e-5);
}

TEST_F(ScorePairs, TellsARouterTheSourceThatIsAskedForAndElseTheMainData) {
  data_.spec.router = "tag";
  data_.spec.experts = 2;
  data_.spec.aux = std::string(64, 'a') + ":1:0:0";
  data_.spec.aux_share = 0.25;
  data_.spec = run::resolve(data_.spec);
  folder_ = data_.create("tag");
  const Path file = data_ / "weights.safetensors";
  Model model(data_.spec, at::kFloat);
  write_weights(file, model);
  const auto logp = [&](std::int64_t source) {
    const c10::InferenceMode no_gradients;
    return at::log_softmax(model.logits(at::tensor({2, 5, 8}).to(at::kLong).view({1, 3}),
                                        nullptr,
                                        {.sources = at::full({1}, source, at::kLong)}),
                           -1)[0][2][11]
        .item<double>();
  };
  const auto found = [&](std::vector<std::string> settings) {
    const WorkerOutcome outcome = score({.list = {},
                                         .checkpoints = {file},
                                         .like = folder_.path(),
                                         .output = {},
                                         .settings = std::move(settings)});
    EXPECT_EQ(outcome.exit, WorkerExit::done) << problem(outcome);
    return lines()[2]["logp"][0].get<double>();
  };

  ASSERT_GT(std::abs(logp(0) - logp(1)), 1e-4);
  EXPECT_NEAR(found({}), logp(0), 1e-6);
  EXPECT_NEAR(found({"source=0"}), logp(0), 1e-6);
  EXPECT_NEAR(found({"source=1"}), logp(1), 1e-6);
  for (const char* word : {"source=2", "source=x", "device=cuda"})
    EXPECT_EQ(score({.list = {},
                     .checkpoints = {file},
                     .like = folder_.path(),
                     .output = {},
                     .settings = {word}})
                  .exit,
              WorkerExit::usage)
        << word;
}

TEST_F(ScorePairs, ReadsAFileOfWeightsLikeARun) {
  train();
  ASSERT_EQ(score(folder_.path()).exit, WorkerExit::done);
  const std::vector<Json> own = lines();
  const Path copy = data_ / "merged.safetensors";
  ASSERT_TRUE(real_files().write_whole(copy, real_files().read(weights()).value()));

  const WorkerOutcome outcome =
      score({.list = {}, .checkpoints = {copy}, .like = folder_.path(), .output = {}});

  ASSERT_EQ(outcome.exit, WorkerExit::done) << problem(outcome);
  const std::vector<Json> found = lines();
  EXPECT_EQ(found[0]["checkpoint"], own[0]["checkpoint"]);
  EXPECT_EQ(found[0]["run"], run::run_id(data_.spec));
  for (std::size_t i = 1; i < own.size(); ++i) EXPECT_EQ(found[i], own[i]);
}

TEST_F(ScorePairs, RefusesAFileOfAnotherModel) {
  train();
  run::RunFolder wider = [&] {
    data_.spec.width = 16;
    data_.spec = run::resolve(data_.spec);
    return data_.create("wider");
  }();

  const WorkerOutcome outcome =
      score({.list = {}, .checkpoints = {weights()}, .like = wider.path(), .output = {}});

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(problem(outcome), HasSubstr("these are no weights of this model"));
  EXPECT_FALSE(real_files().exists(output()));
}

TEST_F(ScorePairs, WritesSeveralCheckpointsOneBehindTheOther) {
  data_.execution.keep_steps = "13";
  folder_ = data_.create("kept");
  train();
  const Path early = folder_.attempt_path(1) / "checkpoint-13";
  ASSERT_EQ(score(early).exit, WorkerExit::done);
  const std::vector<Json> alone = lines();

  ASSERT_EQ(score({.list = {}, .checkpoints = {folder_.path(), early}, .output = {}}).exit,
            WorkerExit::done);

  const std::vector<Json> found = lines();
  ASSERT_EQ(found.size(), 8U);
  EXPECT_NE(found[0]["checkpoint"], found[4]["checkpoint"]);
  EXPECT_EQ(found[4]["checkpoint"], alone[0]["checkpoint"]);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(found[4 + i], alone[i]);
}

TEST_F(ScorePairs, HasTheSameLinesForAnyBatchAndNumberOfThreads) {
  train();
  const auto choices = [&](const std::string& setting) {
    EXPECT_EQ(score(folder_.path(), {setting}).exit, WorkerExit::done);
    return bytes().substr(bytes().find('\n'));
  };

  const std::string usual = choices("batch_tokens=2048");

  EXPECT_EQ(choices("batch_tokens=1"), usual);
  EXPECT_EQ(choices("threads=2"), usual);
}

TEST_F(ScorePairs, PreferWhatTheModelHasLearned) {
  data_.spec.tokens = 2000 * data_.spec.context;
  folder_ = data_.create("longer");
  train();
  write_list(
      "{\"prompt\":[2,5]}\n"
      "{\"after\":0,\"choice\":[8,11]}\n"
      "{\"after\":0,\"choice\":[9,11]}\n");

  ASSERT_EQ(score(folder_.path()).exit, WorkerExit::done);

  // The next token is the last one plus 3, in nine of ten cases.
  EXPECT_GT(lines()[1]["logp"][0].get<double>(), -0.7);
  EXPECT_LT(lines()[2]["logp"][0].get<double>(), -2);
}

TEST_F(ScorePairs, NamesTheLineOfTheListThatIsWrong) {
  train();
  const std::pair<const char*, const char*> cases[] = {
      {"{\"prompt\":[17]}\n", "pairs.jsonl:2: the token id 17 lies outside"},
      {"{\"prompt\":[1]}\n{\"after\":0,\"choice\":[]}\n", "pairs.jsonl:3: an empty choice"},
      {"{\"prompt\":[1,2,3,4,5,6]}\n{\"after\":0,\"choice\":[1,2]}\n"
       "{\"after\":0,\"choice\":[1,2,3]}\n",
       "pairs.jsonl:4: a prompt of 6 tokens and a choice of 3 are more than the model's context "
       "of 8"}};
  for (const auto& [text, said] : cases) {
    write_list(text);
    const WorkerOutcome outcome = score(folder_.path());
    EXPECT_EQ(outcome.exit, WorkerExit::data);
    EXPECT_THAT(problem(outcome), HasSubstr(said));
  }
  EXPECT_FALSE(real_files().exists(output()));
}

TEST_F(ScorePairs, SaysWhatIsMissing) {
  EXPECT_EQ(score(data_ / "nowhere").exit, WorkerExit::usage);
  const WorkerOutcome untrained = score(folder_.path());
  EXPECT_EQ(untrained.exit, WorkerExit::data);
  EXPECT_THAT(problem(untrained), HasSubstr("has no checkpoint"));
  EXPECT_EQ(score(folder_.path(), {"width=16"}).exit, WorkerExit::usage);
  for (const char* word : {"batch_tokens=0", "batch_tokens=", "batch_tokens=1e3", "batch_tokens"}) {
    const WorkerOutcome outcome = score(folder_.path(), {word});
    EXPECT_EQ(outcome.exit, WorkerExit::usage) << word;
    EXPECT_THAT(problem(outcome), HasSubstr("is no number of tokens"));
  }
  ASSERT_TRUE(real_files().remove_all(list()));
  EXPECT_EQ(score(folder_.path()).exit, WorkerExit::data);
}

TEST_F(ScorePairs, ReplacesAFileWholeOrNotAtAll) {
  train();
  ASSERT_EQ(score(folder_.path()).exit, WorkerExit::done);
  for (const auto mode : {test::FailingFiles::Mode::disk_full, test::FailingFiles::Mode::killed}) {
    ASSERT_TRUE(real_files().write_whole(output(), "older"));
    bool failed = true;
    for (int operation = 0; failed; ++operation) {
      test::FailingFiles files(real_files(), mode, operation);
      static_cast<void>(score({.list = {}, .checkpoints = {folder_.path()}, .output = {}}, files));
      failed = files.failed();
      EXPECT_TRUE(bytes() == "older" || lines().size() == 4U) << "operation " << operation;
    }
    EXPECT_EQ(lines().size(), 4U);
  }
}

}  // namespace
}  // namespace ration::train
