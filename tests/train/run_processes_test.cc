// Many runs on one device, a process for each.

#include "train/processes/run_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "train/packed_worker.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

// Three runs of one shape on a device's passes.
class RunProcesses : public testing::Test {
 protected:
  RunProcesses() { data_.spec.precision = "bf16"; }

  std::vector<run::RunFolder> three_runs(const std::string& name) {
    std::vector<run::RunFolder> folders;
    for (int k = 0; k < 3; ++k) {
      data_.spec.seed = k;
      folders.push_back(data_.create(name + std::to_string(k)));
    }
    return folders;
  }
  static std::vector<Path> paths_of(const std::vector<run::RunFolder>& folders) {
    std::vector<Path> paths;
    for (const run::RunFolder& folder : folders) paths.push_back(folder.path());
    return paths;
  }

  const std::function<bool()> go_on = [] { return false; };
  test::TinyData data_;
  Surroundings world_{real_files(), system_clock(), [] { return false; }, {}};
};

TEST_F(RunProcesses, MeasuresAProcessForEachRunBesideTheOtherWays) {
  const std::vector<run::RunFolder> folders = three_runs("run");
  const std::vector<Path> paths = paths_of(folders);
  testing::internal::CaptureStderr();

  const std::vector<WorkerOutcome> outcomes =
      work_packed(paths, world_, {.program = RATION_TRAIN, .worth_processes = 0});

  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("in processes of their own"));
  for (const WorkerOutcome& outcome : outcomes) EXPECT_EQ(outcome.exit, WorkerExit::done);
  EXPECT_GT(measure_processes(RATION_TRAIN, paths, go_on).value(), 0);
  EXPECT_FALSE(measure_processes(RATION_TRAIN, {paths[0], data_ / "nowhere"}, go_on));
}

TEST_F(RunProcesses, GivesRunsInProcessesTheBytesThatTheyHaveAlone) {
  const std::vector<run::RunFolder> together = three_runs("together"), alone = three_runs("alone");
  std::vector<Path> paths = paths_of(together);
  paths.push_back(data_ / "nowhere");

  const std::vector<WorkerOutcome> outcomes = work_in_processes(RATION_TRAIN, paths, world_, 4);

  EXPECT_EQ(outcomes.back().exit, WorkerExit::usage);  // and the others did not mind
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(outcomes[k].exit, WorkerExit::done);
    EXPECT_EQ(work({.run_folder = alone[k].path()}, world_).exit, WorkerExit::done);
    EXPECT_EQ(test::final_bytes(together[k], "state.safetensors"),
              test::final_bytes(alone[k], "state.safetensors"));
  }
}

TEST_F(RunProcesses, AreWhatRunsOfTheProcessorGet) {
  data_.spec.precision = "fp32";
  const std::vector<run::RunFolder> folders = three_runs("run");

  for (const WorkerOutcome& outcome :
       work_packed(paths_of(folders), world_, {.program = RATION_TRAIN}))
    EXPECT_EQ(outcome.exit, WorkerExit::done);

  for (const run::RunFolder& folder : folders) {
    const run::EventBatch log = run::read_events(real_files(), folder.events_path(1), 0, 0).value();
    EXPECT_EQ(log.events.at(0).values["way"], "alone");
  }
}

TEST_F(RunProcesses, PassOnAStopAndGoOnLater) {
  data_.spec.tokens = 20'000 * 8;
  const std::vector<run::RunFolder> folders = three_runs("run");
  const auto all_train = [&] {
    return std::ranges::all_of(folders, [](const run::RunFolder& folder) {
      const auto log = run::read_events(real_files(), folder.events_path(1), 0, 0);
      return log && std::ranges::any_of(log->events, [](const run::Event& event) {
               return event.type == run::EventType::train;
             });
    });
  };
  Surroundings stopping{real_files(), system_clock(), all_train, {}};

  for (const WorkerOutcome& outcome :
       work_in_processes(RATION_TRAIN, paths_of(folders), stopping, 3))
    EXPECT_EQ(outcome.exit, WorkerExit::preempted);
  for (const WorkerOutcome& outcome : work_in_processes(RATION_TRAIN, paths_of(folders), world_, 2))
    EXPECT_EQ(outcome.exit, WorkerExit::done);
}

}  // namespace
}  // namespace ration::train
