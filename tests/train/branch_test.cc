// Runs that begin with a checkpoint of another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "run/steps.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::ElementsAre;
using testing::HasSubstr;

WorkerOutcome work_on(
    const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
  Surroundings world{real_files(), system_clock(), std::move(stop), {}};
  return work({.run_folder = folder.path()}, world);
}

// The tensors of a file of the final checkpoint: all behind the header, which names the run.
std::string numbers_of(const run::RunFolder& folder, const std::string& file) {
  const std::string bytes = test::final_bytes(folder, file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return bytes.substr(sizeof(header) + header);
}

// A trunk of 26 steps without warm-up, so that shorter runs have the same beginning.
class Branch : public testing::Test {
 protected:
  Branch() {
    data_.spec.schedule = "wsd";
    data_.spec.warmup_fraction = 0;
    data_.spec.dropout = 0.1;
  }

  // Run folders lie beside each other, as in a store.
  run::RunFolder trunk() {
    data_.execution.keep_steps = "8,12";
    return data_.create(run::run_id(data_.spec));
  }
  run::RunFolder whole(std::int64_t windows) {
    data_.spec.tokens = windows * 8;
    return data_.create("whole");
  }
  run::RunFolder branch(std::int64_t windows) {
    data_.spec.branch_from = run::run_id(data_.spec);
    data_.spec.tokens = windows * 8;
    data_.spec.branch_step = run::steps_of(data_.spec) - run::decay_steps(data_.spec);
    return data_.create(run::run_id(data_.spec));
  }

  test::TinyData data_;
};

TEST_F(Branch, EndsWithTheBytesOfAWholeRunOfItsLength) {
  ASSERT_EQ(work_on(trunk()).exit, WorkerExit::done);
  const run::RunFolder part = branch(40);  // 10 steps, of which 2 decay

  ASSERT_EQ(work_on(part).exit, WorkerExit::done);

  data_.spec.branch_from = "";
  data_.spec.branch_step = 0;
  const run::RunFolder full = whole(40);
  ASSERT_EQ(work_on(full).exit, WorkerExit::done);
  for (const std::string file : {"model.safetensors", "state.safetensors"})
    EXPECT_TRUE(numbers_of(part, file) == numbers_of(full, file)) << file;
  for (const char* key : {"final_loss", "best_loss", "best_step", "steps", "tokens"})
    EXPECT_EQ(test::result_of(part)[key], test::result_of(full)[key]) << key;
}

TEST_F(Branch, SaysWhereItBegan) {
  const run::RunFolder first = trunk();
  ASSERT_EQ(work_on(first).exit, WorkerExit::done);
  const run::RunFolder part = branch(40);

  ASSERT_EQ(work_on(part).exit, WorkerExit::done);

  const auto events = test::effective_events(part);
  const auto resumed = std::ranges::find(events, run::EventType::resume, &run::Event::type);
  ASSERT_NE(resumed, events.end());
  EXPECT_EQ(resumed->values["from_run"], first.path().filename().string());
  EXPECT_EQ(resumed->values["from_step"], 8);
  EXPECT_EQ(resumed->step, 8);
}

TEST_F(Branch, ResumesFromItsOwnCheckpointAfterAStop) {
  ASSERT_EQ(work_on(trunk()).exit, WorkerExit::done);
  const run::RunFolder part = branch(60);  // 15 steps, from 12 on

  int steps = 1;
  ASSERT_EQ(work_on(part, [&] { return --steps <= 0; }).exit, WorkerExit::preempted);
  ASSERT_EQ(work_on(part).exit, WorkerExit::done);

  data_.spec.branch_from = "";
  data_.spec.branch_step = 0;
  const run::RunFolder full = whole(60);
  ASSERT_EQ(work_on(full).exit, WorkerExit::done);
  EXPECT_TRUE(numbers_of(part, "model.safetensors") == numbers_of(full, "model.safetensors"));
}

TEST_F(Branch, TrunkKeepsWhatBranchesNeedBesideItsNewestTwo) {
  const run::RunFolder folder = trunk();
  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  std::vector<std::string> kept;
  const std::vector<std::string> names = real_files().list(folder.attempt_path(1)).value();
  for (const std::string& name : names)
    if (name.starts_with("checkpoint-")) kept.push_back(name);

  EXPECT_THAT(kept, ElementsAre("checkpoint-12", "checkpoint-26", "checkpoint-8"));
}

TEST_F(Branch, NamesTheCheckpointThatIsMissingOrBroken) {
  const run::RunFolder first = trunk();
  const run::RunFolder part = branch(40);
  const WorkerOutcome missing = work_on(part);
  EXPECT_EQ(missing.exit, WorkerExit::data);
  EXPECT_THAT(missing.error->describe(), HasSubstr("checkpoint-8"));

  ASSERT_EQ(work_on(first).exit, WorkerExit::done);
  const Path meta = first.attempt_path(1) / "checkpoint-8" / "meta.json";
  ASSERT_TRUE(real_files().write_whole(meta, "{}"));
  const WorkerOutcome broken = work_on(part);

  EXPECT_EQ(broken.exit, WorkerExit::data);
  EXPECT_THAT(broken.error->describe(), HasSubstr("checkpoint-8"));
}

TEST_F(Branch, HasNothingButTokensAndScheduleOfItsOwn) {
  ASSERT_EQ(work_on(trunk()).exit, WorkerExit::done);
  branch(40);
  const run::RunSpec of_branch = data_.spec;
  data_.spec.batch_sequences = 2;
  const WorkerOutcome other = work_on(data_.create(run::run_id(data_.spec)));
  data_.spec = of_branch;
  data_.spec.tokens = of_branch.branch_step * of_branch.batch_sequences * 8;
  const WorkerOutcome ended = work_on(data_.create(run::run_id(data_.spec)));

  EXPECT_EQ(other.exit, WorkerExit::data);
  EXPECT_THAT(other.error->describe(), HasSubstr("batch_sequences differs"));
  EXPECT_EQ(ended.exit, WorkerExit::data);
  EXPECT_THAT(ended.error->describe(), HasSubstr("ends before step 8"));
}

}  // namespace
}  // namespace ration::train
