// Runs that evaluate points in weight space.

#include "run/points.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "base/hash.h"
#include "base/random.h"
#include "checkpoint/safetensors.h"
#include "data/pool_builder.h"
#include "train/checkpoint_folder.h"
#include "train/heldout.h"
#include "train/logit_bias.h"
#include "train/points_run.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

std::string words_of(const WorkerOutcome& outcome) {
  return outcome.error ? outcome.error->describe() : "no error";
}

Json linear(const std::vector<std::string>& models, const std::vector<double>& weights) {
  return {{"method", "linear"}, {"models", models}, {"weights", weights}};
}

// Two finished runs of one model, and points between them.
class Points : public testing::Test {
 protected:
  Points() : trained_(data_.spec) {
    for (const int seed : {1, 2}) {
      data_.spec.seed = seed;
      ids_.push_back(run::run_id(data_.spec));
      const run::RunFolder folder = data_.create(ids_.back());
      EXPECT_EQ(work_on(folder).exit, WorkerExit::done);
      list_.models[seed == 1 ? "a" : "b"] = {.run = ids_.back(), .step = 0, .sha256 = {}};
    }
    list_.corpora = {corpus("all", 0, 0)};
    for (int i = 0; i <= 4; ++i)
      list_.points.push_back({.name = "line/" + std::to_string(i),
                              .recipe = linear({"a", "b"}, {1 - i / 4.0, i / 4.0}),
                              .corpora = {}});
  }

  WorkerOutcome work_on(
      const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
    Surroundings world{real_files(), system_clock(), std::move(stop), {}};
    return work({.run_folder = folder.path()}, world);
  }
  run::PointCorpus corpus(const std::string& name, std::int64_t first, std::int64_t windows) const {
    return {.name = name,
            .data = data_.path().string(),
            .digest = data_.spec.data_digest,
            .first_window = first,
            .windows = windows};
  }
  // The run that evaluates the list.
  run::RunFolder points_run(const std::string& name = "points") {
    const std::string text = run::points_text(list_);
    const Path path = data_ / (name + ".json");
    EXPECT_TRUE(real_files().write_whole(path, text));
    data_.spec = trained_;
    data_.spec.tokens = 0;
    data_.spec.points = "sha256:" + sha256_hex(text);
    data_.execution.points_file = path.string();
    return data_.create(name);
  }
  static std::string bytes_of(const run::RunFolder& folder) {
    return real_files()
        .read(folder.path() / test::result_of(folder)["points"].get<std::string>())
        .value();
  }
  static std::vector<Json> lines_of(const run::RunFolder& folder) {
    std::istringstream text(bytes_of(folder));
    std::vector<Json> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  // Weights of run a and b mixed by hand, in double.
  void mix(Model& model, double of_a) const {
    Model b(trained_, at::kFloat);
    for (const auto& [which, to] : {std::pair{0, &model}, {1, &b}}) {
      const run::RunFolder folder(real_files(), data_ / ids_[static_cast<std::size_t>(which)]);
      const CheckpointName name =
          checkpoint_name(test::result_of(folder)["checkpoint"].get<std::string>()).value();
      ASSERT_TRUE(CheckpointFolder(real_files(), folder, ids_[static_cast<std::size_t>(which)])
                      .load_weights(name.attempt, name.step, to->parameters()));
    }
    at::Tensor to = model.parameters().values().detach();
    to.copy_(of_a * to.to(at::kDouble) +
             (1 - of_a) * b.parameters().values().detach().to(at::kDouble));
  }
  // The held-out text: 110 tokens, 13 windows.
  Windows held_out(std::int64_t first, std::int64_t count) const {
    const data::Manifest manifest = data::read_manifest(real_files(), data_.path()).value();
    const auto pool =
        data::TokenPool::open(real_files(), data_.path(), manifest, data::Split::val).value();
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count * 8 + 1));
    pool.copy(first * 8, tokens);
    return Windows(tokens, 8);
  }

  test::TinyData data_;
  run::RunSpec trained_;
  std::vector<std::string> ids_;
  run::PointList list_;
};

TEST_F(Points, HaveTheLossesOfTheModelsMixedByHand) {
  const run::RunFolder folder = points_run();

  const WorkerOutcome outcome = work_on(folder);

  ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
  const std::vector<Json> lines = lines_of(folder);
  ASSERT_EQ(lines.size(), 5U);
  for (int i = 0; i <= 4; ++i) {
    Model model(trained_, at::kFloat);
    mix(model, 1 - i / 4.0);
    const Json& line = lines[static_cast<std::size_t>(i)];
    EXPECT_EQ(line["point"], "line/" + std::to_string(i));
    EXPECT_EQ(line["corpus"], "all");
    EXPECT_EQ(line["tokens"], 13 * 8);
    EXPECT_FALSE(line.contains("sequences"));
    EXPECT_NEAR(
        line["loss_nats"].get<double>(), HeldOut(held_out(0, 13)).loss(model, *alone()), 1e-6);
  }
}

TEST_F(Points, OfOneModelAloneHaveTheLossThatItsRunReported) {
  const run::RunFolder folder = points_run();

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const std::vector<Json> lines = lines_of(folder);
  for (const auto& [line, id] : {std::pair{0, ids_[0]}, {4, ids_[1]}})
    EXPECT_NEAR(lines[static_cast<std::size_t>(line)]["loss_nats"].get<double>(),
                test::result_of(run::RunFolder(real_files(), data_ / id))["final_loss"],
                1e-12);
}

TEST_F(Points, LookAtTheWindowsThatAreAskedForAndTellEachOnesLoss) {
  list_.corpora = {corpus("all", 0, 0), corpus("first", 0, 4), corpus("rest", 4, 0)};
  list_.sequences = true;
  list_.points.resize(2);
  list_.points[1].corpora = {2, 1};
  const run::RunFolder folder = points_run();

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const std::vector<Json> lines = lines_of(folder);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[3]["corpus"], "rest");
  EXPECT_EQ(lines[4]["corpus"], "first");
  std::vector<double> all = lines[0]["sequences"], first = lines[1]["sequences"];
  const std::vector<double> rest = lines[2]["sequences"];
  EXPECT_EQ(first.size(), 4U);
  first.insert(first.end(), rest.begin(), rest.end());
  ASSERT_EQ(first.size(), all.size());
  double sum = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_NEAR(first[i], all[i], 1e-6);
    sum += all[i];
  }
  EXPECT_NEAR(lines[0]["loss_nats"].get<double>(), sum / 13, 1e-12);
}

TEST_F(Points, OfIdenticalWeightsHaveIdenticalLosses) {
  list_.points.push_back(
      {.name = "again", .recipe = linear({"b", "a"}, {0.25, 0.75}), .corpora = {}});
  list_.points.push_back({.name = "a", .recipe = linear({"a"}, {1}), .corpora = {}});
  list_.sequences = true;
  const run::RunFolder folder = points_run();

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const std::vector<Json> lines = lines_of(folder);
  EXPECT_EQ(lines[5]["sequences"], lines[1]["sequences"]);
  EXPECT_EQ(lines[6]["sequences"], lines[0]["sequences"]);
}

TEST_F(Points, LeaveEventsAndAResultAsEveryRunDoes) {
  const run::RunFolder folder = points_run();

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const auto events = run::read_events(real_files(), folder.events_path(1), 0, 0).value().events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].type, run::EventType::start);
  EXPECT_EQ(events[0].values["points"], 5);
  EXPECT_EQ(events[1].type, run::EventType::done);
  EXPECT_EQ(events[1].step, 5);
  const Json result = test::result_of(folder);
  EXPECT_EQ(result["schema"], "ration.result/1");
  EXPECT_EQ(result["status"], "done");
  EXPECT_EQ(result["steps"], 5);
  EXPECT_EQ(result["tokens"], 0);
  EXPECT_EQ(result["points"], "attempt-1/points.jsonl");
  EXPECT_FALSE(result.contains("final_loss"));
  EXPECT_EQ(work_on(folder).exit, WorkerExit::done);  // a finished run is left alone
  EXPECT_EQ(folder.attempts().value().size(), 1U);
}

TEST_F(Points, GoOnBehindTheLinesOfAnEarlierAttempt) {
  const run::RunFolder whole = points_run("whole"), folder = points_run("stopped");
  ASSERT_EQ(work_on(whole).exit, WorkerExit::done);
  int looks = 3;
  ASSERT_EQ(work_on(folder, [&] { return --looks < 0; }).exit, WorkerExit::preempted);
  const Path left = folder.attempt_path(1) / "points.jsonl";
  std::string text = real_files().read(left).value();
  ASSERT_EQ(std::ranges::count(text, '\n'), 3);
  ASSERT_TRUE(real_files().write_whole(left, text + R"({"corpus":"all","loss_na)"));  // torn

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(bytes_of(folder), bytes_of(whole));
  const auto events = run::read_events(real_files(), folder.events_path(2), 0, 0).value().events;
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[1].type, run::EventType::resume);
  EXPECT_EQ(events[1].values["from_attempt"], 1);
  EXPECT_EQ(events[1].step, 3);
}

// A digit of a loss is beyond what a line can show of itself; its name and its place are not.
TEST_F(Points, TakeOverNoLineThatIsNotInItsPlace) {
  const run::RunFolder whole = points_run("whole"), folder = points_run("damaged");
  ASSERT_EQ(work_on(whole).exit, WorkerExit::done);
  int looks = 4;
  ASSERT_EQ(work_on(folder, [&] { return --looks < 0; }).exit, WorkerExit::preempted);
  const Path left = folder.attempt_path(1) / "points.jsonl";
  std::string text = real_files().read(left).value();
  text.erase(text.find('\n') + 1, text.find('\n', text.find('\n') + 1) - text.find('\n'));
  ASSERT_TRUE(real_files().write_whole(left, text));  // the second is missing

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(bytes_of(folder), bytes_of(whole));
  const auto events = run::read_events(real_files(), folder.events_path(2), 0, 0).value().events;
  EXPECT_EQ(events.at(1).step, 1);
}

TEST_F(Points, StopWritingWhenAHigherAttemptAppears) {
  const run::RunFolder folder = points_run();
  int looks = 0;
  const auto overtake = [&] {
    if (++looks == 3) {
      EXPECT_TRUE(run::RunFolder(folder).claim_attempt().value());
    }
    return false;
  };

  EXPECT_EQ(work_on(folder, overtake).exit, WorkerExit::fenced);

  const std::string text = real_files().read(folder.attempt_path(1) / "points.jsonl").value();
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);  // the third was under way
  EXPECT_FALSE(real_files().exists(folder.result_path()));
}

TEST_F(Points, SayWhenALossIsNoNumber) {
  Parameters huge(trained_, at::kFloat);
  huge.values().detach().fill_(1);
  huge.at("lnf.g").value.detach().fill_(3e38);  // logits beyond all numbers
  std::vector<checkpoint::TensorView> tensors;
  for (const Parameters::Entry& entry : huge.entries()) {
    const std::vector<std::uint64_t> shape(entry.shape.shape.begin(), entry.shape.shape.end());
    tensors.push_back(
        {entry.shape.name,
         checkpoint::DType::f32,
         shape,
         {static_cast<const std::byte*>(entry.value.const_data_ptr()), entry.value.nbytes()}});
  }
  const Path path = data_ / "huge.safetensors";
  ASSERT_TRUE(checkpoint::write_safetensors(real_files(), path, tensors));
  list_.models["huge"] = {
      .run = {}, .step = 0, .sha256 = sha256_hex(real_files().read(path).value())};
  list_.files["huge"] = path.string();
  list_.points = {{.name = "huge", .recipe = linear({"huge"}, {1}), .corpora = {}},
                  {.name = "a", .recipe = linear({"a"}, {1}), .corpora = {}}};
  const run::RunFolder folder = points_run();

  const WorkerOutcome outcome = work_on(folder);

  ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
  EXPECT_THAT(lines_of(folder)[0]["loss_nats"], testing::AnyOf("nan", "inf"));
  EXPECT_TRUE(lines_of(folder)[1]["loss_nats"].is_number());
}

TEST_F(Points, AreTheSameOnADeviceUpToItsPrecision) {
  const run::RunFolder own = points_run("own");
  ASSERT_EQ(work_on(own).exit, WorkerExit::done);
  trained_.precision = "bf16";
  const run::RunFolder twin = points_run("twin");

  const WorkerOutcome outcome = work_on(twin);

  ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_NEAR(lines_of(twin)[i]["loss_nats"].get<double>(),
                lines_of(own)[i]["loss_nats"].get<double>(),
                0.02);
  EXPECT_NE(lines_of(twin)[0]["loss_nats"], lines_of(twin)[4]["loss_nats"]);
}

TEST_F(Points, RefuseAnotherListThanTheRunWasDefinedWith) {
  const run::RunFolder folder = points_run();
  list_.points.pop_back();
  ASSERT_TRUE(real_files().write_whole(data_.execution.points_file, run::points_text(list_)));

  const WorkerOutcome outcome = work_on(folder);

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(words_of(outcome), HasSubstr("is another list of points"));
}

TEST_F(Points, RefuseARecipeThatIsNoneBeforeTheFirstIsMade) {
  list_.points.back().recipe["method"] = "alchemy";
  const run::RunFolder folder = points_run();

  const WorkerOutcome outcome = work_on(folder);

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(words_of(outcome), HasSubstr("point \"line/4\""));
  EXPECT_FALSE(real_files().exists(folder.attempt_path(1) / "points.jsonl"));
}

TEST_F(Points, RefuseCorporaAndModelsThatDoNotFit) {
  const run::PointList good = list_;
  list_.corpora = {corpus("much", 4, 10)};
  const WorkerOutcome windows = work_on(points_run("windows"));
  list_ = good;
  list_.corpora[0].digest = std::string(64, '0');
  const WorkerOutcome digest = work_on(points_run("digest"));
  list_ = good;
  list_.models["b"].run = std::string(32, '0');
  const WorkerOutcome missing = work_on(points_run("missing"));
  list_ = good;
  trained_.qk_norm = true;
  const WorkerOutcome other = work_on(points_run("other"));

  for (const WorkerOutcome* outcome : {&windows, &digest, &missing, &other})
    EXPECT_EQ(outcome->exit, WorkerExit::data);
  EXPECT_THAT(words_of(windows), HasSubstr("asks for 10 windows from number 4 on"));
  EXPECT_THAT(words_of(digest), HasSubstr("holds data with digest"));
  EXPECT_THAT(words_of(missing), HasSubstr("is not in this store"));
  EXPECT_THAT(words_of(other), HasSubstr("qk_norm (false and true)"));
}

// A model whose logits are all zero: the best bias is the logarithm of how often tokens occur.
TEST_F(Points, ProbeFindsTheFrequenciesOfTokensWhereAModelKnowsNothing) {
  Model model(trained_, at::kFloat);
  model.parameters().values().detach().zero_();
  const PoolWindows training(test::open_train_pool(data_.path()), 8);
  std::vector<std::uint32_t> all(static_cast<std::size_t>(training.count()));
  std::iota(all.begin(), all.end(), 0U);
  const Batch batch = training.batch(all);

  const at::Tensor bias =
      fit_logit_bias(model, {.steps = 2000, .lr = 0.02, .sequences = 1}, [&] { return batch; });

  const at::Tensor counts = at::bincount(batch.targets.view(-1), {}, 17).to(at::kDouble);
  const at::Tensor wanted = counts / counts.sum();
  EXPECT_TRUE(at::allclose(at::softmax(bias, 0), wanted, /*rtol=*/1e-3, /*atol=*/1e-4));
  const std::vector<double> found = window_losses_with(model, held_out(0, 13), bias);
  const at::Tensor surprise = -at::log_softmax(bias, 0);
  const Batch first = held_out(0, 1).batch(std::vector<std::uint32_t>{0});
  EXPECT_NEAR(
      found[0], surprise.index_select(0, first.targets.view(-1)).mean().item<double>(), 1e-5);
}

TEST_F(Points, ProbeLowersTheLossAndLeavesTheNextPointAlone) {
  const run::RunFolder plain = points_run("plain");
  ASSERT_EQ(work_on(plain).exit, WorkerExit::done);
  list_.probe = run::PointProbe{.steps = 60, .lr = 0.05, .sequences = 16};
  list_.points.push_back({.name = "again", .recipe = linear({"a", "b"}, {1, 0}), .corpora = {}});
  const run::RunFolder probed = points_run("probed");

  const WorkerOutcome outcome = work_on(probed);

  ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
  const double middle = lines_of(plain)[2]["loss_nats"];
  EXPECT_LT(lines_of(probed)[2]["loss_nats"].get<double>(), middle);
  EXPECT_EQ(lines_of(probed)[5]["loss_nats"], lines_of(probed)[0]["loss_nats"]);
}

}  // namespace
}  // namespace ration::train
