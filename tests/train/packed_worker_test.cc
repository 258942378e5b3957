// Runs that train through train/device: alone in bf16, and several in one worker.

#include "train/packed_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/counting_clock.h"
#include "train/device/backend.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

class PackedWorker : public testing::Test {
 protected:
  // Runs on the device's passes: fp32 on the processor would take its own.
  PackedWorker() { data_.spec.precision = "bf16"; }

  std::vector<run::RunFolder> three_runs(const std::string& name) {
    const run::RunSpec spec = data_.spec;
    std::vector<run::RunFolder> folders;
    for (int k = 0; k < 3; ++k) {
      data_.spec.seed = k;
      data_.spec.lr = 1e-2 * (k + 1);
      data_.spec.unique_tokens = (40 - 8 * k) * spec.context;  // epochs end at other steps
      folders.push_back(data_.create(name + std::to_string(k)));
    }
    data_.spec = spec;
    return folders;
  }
  static std::vector<WorkerOutcome> work_together(
      const std::vector<run::RunFolder>& folders,
      std::function<bool()> stop = [] { return false; }) {
    Surroundings world{real_files(), system_clock(), std::move(stop), {}};
    std::vector<Path> paths;
    for (const run::RunFolder& folder : folders) paths.push_back(folder.path());
    return work_packed(paths, world);
  }
  static WorkerExit work_alone(
      const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
    Surroundings world{real_files(), system_clock(), std::move(stop), {}};
    return work({.run_folder = folder.path()}, world).exit;
  }

  test::TinyData data_;
};

TEST_F(PackedWorker, GivesEveryRunTheResultThatItHasAlone) {
  data_.spec.precision = "fp32";
  data_.execution.device = "auto";
  const std::vector<run::RunFolder> together = three_runs("together"), alone = three_runs("alone");

  const std::vector<WorkerOutcome> outcomes = work_together(together);

  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(outcomes[k].exit, WorkerExit::done);
    EXPECT_EQ(work_alone(alone[k]), WorkerExit::done);
    const Json got = test::result_of(together[k]), want = test::result_of(alone[k]);
    const double loss = want["final_loss"];
    EXPECT_NEAR(got["final_loss"].get<double>(), loss, 1e-5 * loss);  // fp32 sums in another order
    EXPECT_EQ(got["steps"], want["steps"]);
    EXPECT_EQ(got["epochs"], want["epochs"]);
    EXPECT_EQ(got["id"], want["id"]);
  }
}

TEST_F(PackedWorker, ResumesInBf16WithTheBytesOfAnUndisturbedRun) {
  data_.spec.dropout = 0.1;
  const run::RunFolder straight = data_.create("straight"), stopped = data_.create("stopped");

  EXPECT_EQ(work_alone(straight), WorkerExit::done);
  EXPECT_EQ(work_alone(stopped, [steps = 7]() mutable { return --steps <= 0; }),
            WorkerExit::preempted);
  EXPECT_EQ(work_alone(stopped), WorkerExit::done);

  for (const char* file : {"model.safetensors", "state.safetensors"})
    EXPECT_EQ(test::final_bytes(stopped, file), test::final_bytes(straight, file)) << file;
  EXPECT_EQ(test::result_of(stopped)["final_loss"], test::result_of(straight)["final_loss"]);
  EXPECT_LT(test::result_of(straight)["final_loss"].get<double>(), 2.7);  // ln 17 = 2.83: it learns
}

TEST_F(PackedWorker, GoesOnWithRunsThatStoppedAtDifferentSteps) {
  const std::vector<run::RunFolder> folders = three_runs("run"), straight = three_runs("straight");
  EXPECT_EQ(work_alone(folders[1], [steps = 5]() mutable { return --steps <= 0; }),
            WorkerExit::preempted);

  for (const WorkerOutcome& outcome : work_together(folders))
    EXPECT_EQ(outcome.exit, WorkerExit::done);

  work_together(straight);
  for (std::size_t k = 0; k < 3; ++k) {
    const double loss = test::result_of(straight[k])["final_loss"];
    EXPECT_NEAR(test::result_of(folders[k])["final_loss"].get<double>(), loss, 2e-3 * loss)
        << "bf16 sums in another order, run " << k;
  }
}

TEST_F(PackedWorker, LetsTheOthersFinishWhenOneRunDiverges) {
  std::vector<run::RunFolder> folders = three_runs("run");
  data_.spec.lr = 10;
  data_.spec.weight_decay = 100;  // weights grow a thousandfold a step
  data_.spec.clip = 0;
  folders.push_back(data_.create("wild"));

  const std::vector<WorkerOutcome> outcomes = work_together(folders);

  EXPECT_EQ(outcomes[3].exit, WorkerExit::diverged);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(outcomes[k].exit, WorkerExit::done);
  EXPECT_EQ(common_exit(outcomes), WorkerExit::diverged);
}

TEST_F(PackedWorker, ChecksAllRunsBeforeTheFirstIsTouched) {
  std::vector<run::RunFolder> folders = three_runs("run");
  data_.spec.width = 16;
  folders.push_back(data_.create("wider"));

  const std::vector<WorkerOutcome> outcomes = work_together(folders);

  EXPECT_EQ(common_exit(outcomes), WorkerExit::usage);
  ASSERT_TRUE(outcomes[0].error);
  EXPECT_THAT(outcomes[0].error->describe(), HasSubstr("width differs"));
  EXPECT_TRUE(folders[0].attempts().value().empty());
}

TEST_F(PackedWorker, RefusesARunTwiceAndExecutionsThatDiffer) {
  const run::RunFolder a = data_.create("a");
  data_.spec.seed = 9;
  data_.execution.micro_batch_sequences = 2;
  const run::RunFolder b = data_.create("b");

  EXPECT_THAT(work_together({a, a})[0].error->describe(), HasSubstr("the same run"));
  EXPECT_THAT(work_together({a, b})[0].error->describe(),
              HasSubstr("micro_batch_sequences differs"));
}

TEST_F(PackedWorker, LeavesFinishedRunsAlone) {
  const std::vector<run::RunFolder> folders = three_runs("run");
  EXPECT_EQ(work_alone(folders[1]), WorkerExit::done);
  const Json before = test::result_of(folders[1]);

  for (const WorkerOutcome& outcome : work_together(folders))
    EXPECT_EQ(outcome.exit, WorkerExit::done);

  EXPECT_EQ(test::result_of(folders[1]), before);
  EXPECT_EQ(folders[1].attempts().value().size(), 1U);
}

// A checkpoint by the clock falls due while the next step is under way.
TEST_F(PackedWorker, CheckpointsByTheClockWithoutOtherNumbers) {
  const run::RunFolder straight = data_.create("straight");
  EXPECT_EQ(work_alone(straight), WorkerExit::done);
  data_.execution.checkpoint_minutes = 0.001;
  const run::RunFolder often = data_.create("often");
  test::CountingClock clock;
  Surroundings world{real_files(), clock, [] { return false; }, {}};

  EXPECT_EQ(work({.run_folder = often.path()}, world).exit, WorkerExit::done);

  EXPECT_EQ(test::final_bytes(often, "state.safetensors"),
            test::final_bytes(straight, "state.safetensors"));
}

TEST_F(PackedWorker, SaysWhyThereIsNoGpu) {
  if (device::why_no_cuda().empty()) GTEST_SKIP() << "there is one";
  data_.execution.device = "cuda";
  const run::RunFolder folder = data_.create("run");
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};

  const WorkerOutcome outcome = work({.run_folder = folder.path()}, world);

  EXPECT_EQ(outcome.exit, WorkerExit::other);
  ASSERT_TRUE(outcome.error);
  EXPECT_THAT(outcome.error->describe(), HasSubstr("CUDA"));
}

// The next step is begun before the last one's result is looked at; what needs the state in between
// waits for it.
TEST_F(PackedWorker, LooksAtResultsLateWithoutOtherNumbers) {
  data_.spec.precision = "fp32";
  data_.execution.evals_per_decade = 3;
  data_.execution.log_every_steps = 1;
  const std::vector<run::RunFolder> folders = three_runs("device"), alone = three_runs("processor");

  for (const WorkerOutcome& outcome : work_together(folders))
    EXPECT_EQ(outcome.exit, WorkerExit::done);

  for (std::size_t k = 0; k < folders.size(); ++k) {
    EXPECT_EQ(work_alone(alone[k]), WorkerExit::done);
    for (const run::EventType type : {run::EventType::train, run::EventType::val}) {
      const auto got = test::losses(test::effective_events(folders[k]), type);
      const auto want = test::losses(test::effective_events(alone[k]), type);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [step, loss] : want) EXPECT_NEAR(got.at(step), loss, 1e-5 * loss) << step;
    }
  }
}

TEST_F(PackedWorker, GoesOnFromEveryStepWithTheBytesOfAnUndisturbedRun) {
  data_.execution.deterministic = false;  // the processor's operators have no other way
  const run::RunFolder straight = data_.create("straight"), stopped = data_.create("stopped");
  EXPECT_EQ(work_alone(straight), WorkerExit::done);

  WorkerExit exit = WorkerExit::preempted;
  for (int attempts = 0; exit == WorkerExit::preempted && attempts < 60; ++attempts)
    exit = work_alone(stopped, [] { return true; });

  EXPECT_EQ(exit, WorkerExit::done);
  EXPECT_EQ(test::final_bytes(stopped, "state.safetensors"),
            test::final_bytes(straight, "state.safetensors"));
  EXPECT_EQ(test::losses(test::effective_events(stopped), run::EventType::train),
            test::losses(test::effective_events(straight), run::EventType::train));
}

TEST_F(PackedWorker, TakesItsPlaceAnewWithHalfTheMicroBatchWhenMemoryRunsOut) {
  const run::RunFolder whole = data_.create("whole"), split = data_.create("split");
  EXPECT_EQ(work_alone(whole), WorkerExit::done);
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
  int steps = 0;
  world.before_step = [&](std::int64_t micro_batch) {  // with another step under way
    if (++steps == 6 && micro_batch == 0) throw std::bad_alloc();
  };

  EXPECT_EQ(work({.run_folder = split.path()}, world).exit, WorkerExit::done);

  const double loss = test::result_of(whole)["final_loss"];
  EXPECT_NEAR(test::result_of(split)["final_loss"].get<double>(), loss, 2e-3 * loss);
}

TEST_F(PackedWorker, LogsWhatTheWaysOfSharingTheDeviceGave) {
  const std::vector<run::RunFolder> folders = three_runs("run");

  work_together(folders);

  for (const run::RunFolder& folder : folders) {
    const run::EventBatch log = run::read_events(real_files(), folder.events_path(1), 0, 0).value();
    const Json& start = log.events.at(0).values;
    EXPECT_THAT(start["way"], testing::AnyOf("packed", "side by side"));
    EXPECT_GT(start["ways"]["packed"], 0);
    EXPECT_GT(start["ways"]["side by side"], 0);
    EXPECT_FALSE(start["ways"].contains("processes"));  // not tried without a program
  }
}

TEST_F(PackedWorker, MeasuresBothWaysOfSharingADevice) {
  const Measured measured = measure_ways(std::vector(2, data_.spec), {});

  EXPECT_GT(measured.packed, 0);
  EXPECT_GT(measured.side_by_side, 0);
}

TEST(CommonExit, IsPreemptedWhenAnyRunIsToBeContinued) {
  const auto exits = [](std::initializer_list<WorkerExit> all) {
    std::vector<WorkerOutcome> outcomes;
    for (const WorkerExit exit : all) outcomes.push_back({.exit = exit});
    return common_exit(outcomes);
  };

  EXPECT_EQ(exits({WorkerExit::done, WorkerExit::done}), WorkerExit::done);
  EXPECT_EQ(exits({WorkerExit::diverged, WorkerExit::preempted}), WorkerExit::preempted);
  EXPECT_EQ(exits({WorkerExit::done, WorkerExit::diverged}), WorkerExit::diverged);
  EXPECT_EQ(exits({WorkerExit::diverged, WorkerExit::data}), WorkerExit::data);
  EXPECT_EQ(exits({WorkerExit::fenced, WorkerExit::out_of_memory}), WorkerExit::out_of_memory);
}

}  // namespace
}  // namespace ration::train
