#include "train/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <new>
#include <set>

#include "train/counting_clock.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::EventType;
using run::WorkerExit;
using testing::Each;
using testing::HasSubstr;
using testing::IsSupersetOf;

WorkerOutcome work_on(
    const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
  Surroundings world{real_files(), system_clock(), std::move(stop), {}};
  return work({.run_folder = folder.path()}, world);
}

// Asks to stop after so many steps of this attempt.
std::function<bool()> after_steps(int steps) {
  return [steps]() mutable { return --steps <= 0; };
}

std::string problem(const WorkerOutcome& outcome) {
  return outcome.error ? outcome.error->describe() : "no error";
}

std::vector<run::Event> events_of(const run::RunFolder& folder, int attempt) {
  const run::EventBatch batch =
      run::read_events(real_files(), folder.events_path(attempt), 0, 0).value();
  EXPECT_EQ(batch.damaged, 0);
  return batch.events;
}

std::vector<EventType> types(const std::vector<run::Event>& events) {
  std::vector<EventType> result;
  for (const run::Event& event : events) result.push_back(event.type);
  return result;
}

// A run whose layers have experts.
struct WithExperts : test::TinyData {
  explicit WithExperts(const std::string& router) {
    spec.router = router;
    spec.experts = 4;
    spec.expert_chunk = 3;
    spec = run::resolve(spec);
  }
};

TEST(WorkerOfExperts, CallsADeviceThatDoesNotComputeThemAMistakeAndTakesAnyOther) {
  WithExperts data("smear");

  data.execution.device = "cuda";
  const WorkerOutcome cuda = work_on(data.create("cuda"));
  data.execution.device = "auto";
  const WorkerOutcome any = work_on(data.create("auto"));

  EXPECT_EQ(cuda.exit, WorkerExit::usage);
  EXPECT_THAT(problem(cuda), HasSubstr("device = \"cuda\": router \"smear\""));
  EXPECT_EQ(any.exit, WorkerExit::done) << problem(any);
}

TEST(WorkerOfExperts, CallsABalanceOverPartsOfAStepAMistakeBeforeItBegins) {
  WithExperts data("top1");
  data.spec.router_balance = 0.01;
  data.execution.micro_batch_sequences = 2;
  const run::RunFolder folder = data.create("run");

  const WorkerOutcome outcome = work_on(folder);

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(problem(outcome), HasSubstr("micro_batch_sequences = 2 computes in parts"));
  EXPECT_FALSE(real_files().exists(folder.attempt_path(1)));
}

class Worker : public testing::Test {
 protected:
  test::TinyData data_;
};

TEST_F(Worker, PublishesAResultWithEveryCountOfTheRun) {
  const run::RunFolder folder = data_.create("run");

  EXPECT_EQ(work_on(folder).exit, WorkerExit::done);

  const Json result = test::result_of(folder);
  EXPECT_EQ(result["status"], "done");
  EXPECT_EQ(result["id"], run::run_id(data_.spec));
  EXPECT_EQ(result["tokens"], 104 * 8);
  EXPECT_EQ(result["steps"], 26);
  EXPECT_DOUBLE_EQ(result["epochs"], 2.6);
  EXPECT_EQ(result["val_tokens"], 104);  // 109 targets of 110 held-out tokens hold 13 windows of 8
  EXPECT_EQ(result["params"]["total"], run::count_params(data_.spec).total);
  EXPECT_EQ(result["flops_per_token"].size(), 6U);
  EXPECT_LT(result["final_loss"].get<double>(), 2.5);  // ln 17 = 2.83 without learning
  EXPECT_LE(result["best_loss"].get<double>(), result["final_loss"].get<double>());
}

TEST_F(Worker, TellsItsWholeStoryInTheLog) {
  const run::RunFolder folder = data_.create("run");

  work_on(folder);

  const std::vector<run::Event> events = events_of(folder, 1);
  EXPECT_EQ(events.front().type, EventType::start);
  EXPECT_EQ(events.back().type, EventType::done);
  EXPECT_THAT(
      types(events),
      IsSupersetOf({EventType::train, EventType::val, EventType::epoch, EventType::checkpoint}));
  EXPECT_EQ(std::ranges::count(types(events), EventType::epoch), 2);
  const Json& start = events.front().values;
  for (const auto& [convention, name] : run::kFlopConventions)
    EXPECT_DOUBLE_EQ(start["flops_per_token"][std::string(name)],
                     run::flops_per_token(data_.spec, convention).value)
        << name;
  for (const char* count : {"block", "embed", "head", "total"})
    EXPECT_TRUE(start["params"].contains(count)) << count;
  EXPECT_EQ(events[1].type, EventType::val);  // before the first step
  EXPECT_EQ(events[1].step, 0);
  for (const run::Event& event : events)
    if (event.type == EventType::train) {
      EXPECT_TRUE(event.values.contains("grad_norm"));
      EXPECT_TRUE(event.values.contains("lr"));
    }
}

TEST_F(Worker, LeavesAFinishedRunAlone) {
  const run::RunFolder folder = data_.create("run");
  work_on(folder);
  const Json result = test::result_of(folder);

  EXPECT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(folder.attempts().value(), std::vector<int>{1});
  EXPECT_EQ(test::result_of(folder), result);
}

TEST_F(Worker, DoesNotDependOnTheMicroBatchBeyondRounding) {
  data_.spec.dropout = 0.1;
  const run::RunFolder whole = data_.create("whole");
  data_.execution.micro_batch_sequences = 3;
  const run::RunFolder split = data_.create("split");

  work_on(whole);
  work_on(split);

  EXPECT_NEAR(test::result_of(split)["final_loss"].get<double>(),
              test::result_of(whole)["final_loss"].get<double>(),
              1e-3);
}

// The promise that makes restarts harmless: with stops anywhere, the same bytes and losses.
struct ResumeCase {
  std::string name;
  double dropout = 0;
  std::int64_t tokens = 104 * 8;
  std::vector<int> stops;
};

class Resume : public testing::TestWithParam<ResumeCase> {};

TEST_P(Resume, GivesTheBytesAndLossesOfAnUninterruptedRun) {
  test::TinyData data;
  data.spec.dropout = GetParam().dropout;
  data.spec.tokens = GetParam().tokens;
  const run::RunFolder straight = data.create("straight");
  const run::RunFolder stopped = data.create("stopped");
  ASSERT_EQ(work_on(straight).exit, WorkerExit::done);

  for (const int steps : GetParam().stops)
    ASSERT_EQ(work_on(stopped, after_steps(steps)).exit, WorkerExit::preempted);
  ASSERT_EQ(work_on(stopped).exit, WorkerExit::done);

  EXPECT_EQ(stopped.attempts().value().size(), GetParam().stops.size() + 1);
  for (const std::string file : {"model.safetensors", "state.safetensors"})
    EXPECT_EQ(test::final_bytes(stopped, file), test::final_bytes(straight, file)) << file;
  const std::vector<run::Event> one = test::effective_events(straight);
  const std::vector<run::Event> many = test::effective_events(stopped);
  for (const EventType type : {EventType::train, EventType::val})
    EXPECT_EQ(test::losses(many, type), test::losses(one, type)) << run::name(type);
  for (const char* key :
       {"final_loss", "best_loss", "best_step", "train_loss_last", "tokens", "epochs", "steps"})
    EXPECT_EQ(test::result_of(stopped)[key], test::result_of(straight)[key]) << key;
}

INSTANTIATE_TEST_SUITE_P(
    Runs,
    Resume,
    testing::Values(ResumeCase{"StoppedOnce", 0, 104 * 8, {13}},
                    ResumeCase{"StoppedAfterEveryOtherStep", 0, 104 * 8, {2, 2, 2, 2, 2, 2, 2}},
                    ResumeCase{"StoppedAtAnEpochsEnd", 0, 104 * 8, {10, 10}},
                    ResumeCase{"StoppedBeforeTheLastStep", 0, 104 * 8, {25}},
                    ResumeCase{"WithDropout", 0.1, 104 * 8, {7, 11}},
                    ResumeCase{"WithAShortLastStep", 0.1, 101 * 8 - 3, {9, 16}}),
    [](const auto& tested) { return tested.param.name; });

TEST_F(Worker, SaysThatItWasPreemptedAndWhereItGoesOn) {
  const run::RunFolder folder = data_.create("run");

  EXPECT_EQ(work_on(folder, after_steps(6)).exit, WorkerExit::preempted);
  work_on(folder);

  EXPECT_EQ(events_of(folder, 1).back().type, EventType::stop);
  EXPECT_EQ(events_of(folder, 1).back().values["reason"], "preempted");
  const std::vector<run::Event> second = events_of(folder, 2);
  EXPECT_EQ(second[1].type, EventType::resume);
  EXPECT_EQ(second[1].step, 6);
  EXPECT_EQ(second[1].values["from_attempt"], 1);
}

TEST_F(Worker, LeavesWithTheCheckpointThatIsBeingWrittenWhenItIsAskedTo) {
  data_.execution.keep_steps = "3";
  const run::RunFolder straight = data_.create("straight");
  work_on(straight);
  const run::RunFolder folder = data_.create("run");
  // It comes while that one is written.
  const auto stop = [&] { return real_files().exists(folder.attempt_path(1) / "checkpoint-3"); };

  EXPECT_EQ(work_on(folder, stop).exit, WorkerExit::preempted);

  EXPECT_FALSE(real_files().exists(folder.attempt_path(1) / "checkpoint-4"));
  EXPECT_EQ(events_of(folder, 1).back().step, 3);
  EXPECT_EQ(work_on(folder).exit, WorkerExit::done);
  EXPECT_EQ(test::final_bytes(folder, "model.safetensors"),
            test::final_bytes(straight, "model.safetensors"));
}

TEST_F(Worker, PassesOverABrokenCheckpointAndSaysSo) {
  const run::RunFolder straight = data_.create("straight");
  const run::RunFolder folder = data_.create("run");
  work_on(straight);
  work_on(folder, after_steps(6));
  ASSERT_TRUE(
      real_files().truncate(folder.attempt_path(1) / "checkpoint-6" / "state.safetensors", 100));

  EXPECT_EQ(work_on(folder).exit, WorkerExit::done);

  const std::vector<run::Event> second = events_of(folder, 2);
  EXPECT_EQ(second[1].type, EventType::skip);
  EXPECT_THAT(second[1].values["detail"].get<std::string>(), HasSubstr("checkpoint-6"));
  EXPECT_EQ(test::final_bytes(folder, "model.safetensors"),
            test::final_bytes(straight, "model.safetensors"));
}

TEST_F(Worker, LeavesWithoutAnotherWriteWhenAHigherAttemptExists) {
  data_.execution.log_every_steps = 1;
  run::RunFolder folder = data_.create("run");
  int steps = 0;
  std::size_t lines = 0;
  const auto overtake = [&] {
    if (++steps == 5) {
      EXPECT_EQ(folder.claim_attempt().value(), 2);
      lines = events_of(folder, 1).size();
    }
    return false;
  };

  EXPECT_EQ(work_on(folder, overtake).exit, WorkerExit::fenced);

  EXPECT_EQ(events_of(folder, 1).size(), lines);
  EXPECT_FALSE(folder.result().value());
  EXPECT_EQ(real_files().list(folder.attempt_path(1)).value(),
            std::vector<std::string>{"events.jsonl"});
}

TEST_F(Worker, DoesNotEvenBeginAnAttemptThatWasOvertaken) {
  run::RunFolder folder = data_.create("run");
  ASSERT_TRUE(folder.claim_attempt());
  ASSERT_TRUE(folder.claim_attempt());
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};

  EXPECT_EQ(work({.run_folder = folder.path(), .attempt = 1}, world).exit, WorkerExit::fenced);
  EXPECT_TRUE(real_files().list(folder.attempt_path(1)).value().empty());
}

TEST_F(Worker, RecordsTheTokenOfItsAttempt) {
  run::RunFolder folder = data_.create("run");
  ASSERT_TRUE(folder.claim_attempt());
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};

  work({.run_folder = folder.path(), .attempt = 1, .token = "0123abcd"}, world);

  EXPECT_EQ(events_of(folder, 1).front().values["token"], "0123abcd");
}

TEST_F(Worker, CallsARunThatLeavesTheNumbersDiverged) {
  data_.spec.lr = 10;
  data_.spec.weight_decay = 10;  // every step multiplies the weights by -99
  data_.spec.schedule = "const";
  const run::RunFolder folder = data_.create("run");

  EXPECT_EQ(work_on(folder).exit, WorkerExit::diverged);

  EXPECT_EQ(test::result_of(folder)["status"], "diverged");
  EXPECT_EQ(std::ranges::count(types(events_of(folder, 1)), EventType::skip), 3);
  EXPECT_EQ(events_of(folder, 1).back().values["reason"], "diverged");
  EXPECT_EQ(work_on(folder).exit, WorkerExit::diverged);  // a result: not tried again
}

TEST_F(Worker, KeepsTwoCheckpointsHoweverManyItMakes) {
  data_.execution.checkpoint_minutes = 0.1;
  const run::RunFolder folder = data_.create("run");
  test::CountingClock clock;
  Surroundings world{real_files(), clock, [] { return false; }, {}};

  work({.run_folder = folder.path()}, world);

  EXPECT_GE(std::ranges::count(types(events_of(folder, 1)), EventType::checkpoint), 3);
  EXPECT_EQ(real_files().list(folder.attempt_path(1)).value().size(), 3U);  // and the log
}

// Memory that is too little for micro-batches of more than `fits` sequences.
WorkerOutcome work_in_little_memory(
    const run::RunFolder& folder, std::int64_t fits, std::function<bool()> stop = [] {
      return false;
    }) {
  Surroundings world{real_files(), system_clock(), std::move(stop), {}};
  world.before_step = [fits](std::int64_t micro_batch) {
    if (micro_batch == 0 || micro_batch > fits) throw std::bad_alloc();
  };
  return work({.run_folder = folder.path()}, world);
}

TEST_F(Worker, HalvesTheMicroBatchOnceWhenMemoryRunsOut) {
  const run::RunFolder whole = data_.create("whole"), split = data_.create("split");
  work_on(whole);

  EXPECT_EQ(work_in_little_memory(split, 2).exit, WorkerExit::done);

  std::vector<run::Event> skips;
  for (const run::Event& event : events_of(split, 1))
    if (event.type == EventType::skip) skips.push_back(event);
  ASSERT_EQ(skips.size(), 1U);
  EXPECT_EQ(skips[0].values["reason"], "out of memory");
  EXPECT_EQ(skips[0].values["micro_batch_sequences"], 2);
  EXPECT_EQ(test::result_of(split)["steps"], test::result_of(whole)["steps"]);
  EXPECT_NEAR(test::result_of(split)["final_loss"].get<double>(),
              test::result_of(whole)["final_loss"].get<double>(),
              1e-3);  // sums in another order
}

TEST_F(Worker, KeepsTheSmallerMicroBatchWhenItGoesOnLater) {
  const run::RunFolder straight = data_.create("straight"), stopped = data_.create("stopped");
  EXPECT_EQ(work_in_little_memory(straight, 2).exit, WorkerExit::done);

  EXPECT_EQ(work_in_little_memory(stopped, 2, after_steps(7)).exit, WorkerExit::preempted);
  EXPECT_EQ(work_on(stopped).exit, WorkerExit::done);

  EXPECT_EQ(test::final_bytes(stopped, "model.safetensors"),
            test::final_bytes(straight, "model.safetensors"));
}

TEST_F(Worker, EndsWith5WhenHalfAMicroBatchIsStillTooMuch) {
  const WorkerOutcome outcome = work_in_little_memory(data_.create("run"), 1);

  EXPECT_EQ(outcome.exit, WorkerExit::out_of_memory);
  EXPECT_THAT(problem(outcome), HasSubstr("micro_batch_sequences"));
}

TEST_F(Worker, ShowsALineThatSaysHowFarItIs) {
  data_.execution.log_every_steps = 1000;
  const run::RunFolder folder = data_.create("run");
  test::CountingClock clock;
  std::vector<std::string> lines;
  Surroundings world{real_files(),
                     clock,
                     [] { return false; },
                     [&](const std::string& line) { lines.push_back(line); }};

  work({.run_folder = folder.path()}, world);

  ASSERT_EQ(lines.size(), 26U);  // as each look at this clock takes a second
  for (const char* word : {"step 20/26", "epoch 2.00", "loss ", "tok/s", "MFU ", "left "})
    EXPECT_THAT(lines[19], HasSubstr(word));
  EXPECT_EQ(lines[0].find("MFU"), std::string::npos);  // not before 5 s of training
}

TEST_F(Worker, LogsTheShareOfThePeakOfARunThatLasts) {
  const run::RunFolder folder = data_.create("run");
  test::CountingClock clock;
  Surroundings world{real_files(), clock, [] { return false; }, {}};

  work({.run_folder = folder.path()}, world);

  bool seen = false;
  for (const run::Event& event : events_of(folder, 1)) {
    if (event.type != EventType::train) continue;
    const bool has = event.values.contains("mfu");
    EXPECT_FALSE(has && event.step == 1);
    EXPECT_TRUE(has || (!seen && event.step < 5)) << event.step;
    seen = has;
  }
  EXPECT_TRUE(seen);
}

TEST_F(Worker, NamesTheSettingThatItDoesNotKnowOrCannotCarryOut) {
  for (const auto& [from, to, word] : std::vector<std::array<std::string, 3>>{
           {"\"layers\":1", "\"layres\":1", "layres"}, {"\"heads\":2", "\"heads\":3", "heads 3"}}) {
    const run::RunFolder folder = data_.create("run " + word);
    std::string text = real_files().read(folder.spec_path()).value();
    text.replace(text.find(from), from.size(), to);
    ASSERT_TRUE(real_files().write_whole(folder.spec_path(), text));

    const WorkerOutcome outcome = work_on(folder);

    EXPECT_EQ(outcome.exit, WorkerExit::usage) << word;
    EXPECT_THAT(problem(outcome), HasSubstr(word));
    EXPECT_THAT(problem(outcome), HasSubstr(folder.spec_path().string()));
    EXPECT_TRUE(folder.attempts().value().empty());
  }
}

TEST_F(Worker, RefusesDataOfAnotherDigest) {
  data_.spec.data_digest = std::string(64, 'a');

  const WorkerOutcome outcome = work_on(data_.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(problem(outcome), HasSubstr(data_.path().string()));
}

TEST_F(Worker, NamesAMissingShard) {
  for (const std::string file : {"train.tokens", "val.docs"}) {
    test::TinyData data;
    const run::RunFolder folder = data.create("run");
    ASSERT_TRUE(real_files().remove_all(data.path() / file));

    const WorkerOutcome outcome = work_on(folder);

    EXPECT_EQ(outcome.exit, WorkerExit::data) << file;
    EXPECT_THAT(problem(outcome), HasSubstr((data.path() / file).string()));
  }
}

TEST_F(Worker, NamesADamagedShard) {
  for (const std::string file : {"train.tokens", "val.tokens"}) {
    test::TinyData data;
    const run::RunFolder folder = data.create("run");
    std::string bytes = real_files().read(data.path() / file).value();
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    ASSERT_TRUE(real_files().write_whole(data.path() / file, bytes));

    const WorkerOutcome outcome = work_on(folder);

    EXPECT_EQ(outcome.exit, WorkerExit::data) << file;
    EXPECT_THAT(problem(outcome), HasSubstr((data.path() / file).string()));
  }
}

TEST_F(Worker, RefusesAVocabularySmallerThanTheDatas) {
  data_.spec.vocab = 16;

  const WorkerOutcome outcome = work_on(data_.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(problem(outcome), HasSubstr("vocab 16"));
}

TEST_F(Worker, RefusesMoreTokensThanTheDataHold) {
  data_.spec.unique_tokens = 100'000;
  const WorkerOutcome unique = work_on(data_.create("unique"));
  data_.spec.unique_tokens = 320;
  data_.spec.val_tokens = 1'000'000;
  const WorkerOutcome held_out = work_on(data_.create("held out"));

  EXPECT_EQ(unique.exit, WorkerExit::data);
  EXPECT_THAT(problem(unique), HasSubstr("100000"));
  EXPECT_EQ(held_out.exit, WorkerExit::data);
  EXPECT_THAT(problem(held_out), HasSubstr("1000000"));
}

TEST_F(Worker, RefusesADamagedRunFile) {
  const run::RunFolder folder = data_.create("run");
  std::string text = real_files().read(folder.spec_path()).value();
  text.replace(text.find("\"layers\":1"), 10, "\"layers\":2");  // not what the id belongs to
  ASSERT_TRUE(real_files().write_whole(folder.spec_path(), text));

  const WorkerOutcome outcome = work_on(folder);

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(problem(outcome), HasSubstr(folder.spec_path().string()));
  EXPECT_TRUE(folder.attempts().value().empty());
}

TEST_F(Worker, NamesAResultThatIsNone) {
  for (const char* text : {"[]", "{}", "{\"status\":7}"}) {
    const run::RunFolder folder = data_.create("run");
    ASSERT_TRUE(real_files().write_whole(folder.result_path(), text));

    const WorkerOutcome outcome = work_on(folder);

    EXPECT_EQ(outcome.exit, WorkerExit::data) << text;
    EXPECT_THAT(problem(outcome), HasSubstr("result.json"));
  }
}

TEST_F(Worker, RefusesAListOfStepsThatIsNone) {
  data_.execution.keep_steps = "8,-5";

  const WorkerOutcome outcome = work_on(data_.create("run"));

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(problem(outcome), HasSubstr("keep_steps"));
}

// Also where it has nothing to log but evaluates.
TEST_F(Worker, LeavesBeforeAnEvaluationWhenAHigherAttemptExists) {
  data_.execution.log_every_steps = 1'000'000;
  data_.execution.evals_per_decade = 100;
  const run::RunFolder folder = data_.create("run");
  int steps = 0;
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
  world.before_step = [&](std::int64_t) {
    if (++steps != 15) return;
    EXPECT_TRUE(real_files().make_folders(folder.attempt_path(2)));
  };

  EXPECT_EQ(work({.run_folder = folder.path()}, world).exit, WorkerExit::fenced);

  EXPECT_LE(events_of(folder, 1).back().step, 14);
}

TEST_F(Worker, RefusesAFolderWithoutARunFile) {
  EXPECT_EQ(work_on({real_files(), data_ / "nowhere"}).exit, WorkerExit::usage);
}

}  // namespace
}  // namespace ration::train
