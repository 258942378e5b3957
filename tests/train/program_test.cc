// The program ration-train itself: killed, signalled, started twice, and out of room.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "train/started_program.h"
#include "train/tiny_run.h"

namespace ration::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr int kKilled = 128 + SIGKILL;

class Program : public testing::Test {
 protected:
  Program() {
    data_.execution.checkpoint_minutes = 0.001;  // 60 ms
    data_.execution.log_every_steps = 10;
    data_.spec.dropout = 0.05;
    data_.spec.tokens = 12'000 * 8;
  }

  StartedProgram start(const run::RunFolder& folder) {
    return {{folder.path()}, {.errors = errors()}};
  }
  Path errors() const { return data_ / "stderr"; }
  std::string said() const { return real_files().read(errors()).value(); }

  static void wait_for_training(const run::RunFolder& folder, int attempt) {
    ASSERT_TRUE(trains(folder, attempt)) << "attempt " << attempt;
  }

  static bool half_written(const run::RunFolder& folder, int attempt) {
    if (!real_files().exists(folder.attempt_path(attempt))) return false;
    const std::vector<std::string> names = real_files().list(folder.attempt_path(attempt)).value();
    return std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.starts_with("checkpoint-") && name.ends_with(".tmp");
    });
  }
  // Waits for the moment; false when that takes over a minute.
  static bool writes_a_checkpoint(const run::RunFolder& folder, int attempt) {
    for (int i = 0; i < 600'000; ++i) {
      if (half_written(folder, attempt)) return true;
      sleep_seconds(0.0001);
    }
    return false;
  }
  // Those that an attempt logged.
  static std::ptrdiff_t checkpoints(const run::RunFolder& folder, int attempt) {
    const run::EventBatch batch =
        run::read_events(real_files(), folder.events_path(attempt), 0, 0).value();
    return std::count_if(batch.events.begin(), batch.events.end(), [](const run::Event& event) {
      return event.type == run::EventType::checkpoint;
    });
  }

  void expect_same_result(const run::RunFolder& got, const run::RunFolder& want) {
    for (const std::string file : {"model.safetensors", "state.safetensors"})
      EXPECT_EQ(final_bytes(got, file), final_bytes(want, file)) << file;
    for (const char* key : {"final_loss", "best_loss", "best_step", "train_loss_last", "steps"})
      EXPECT_EQ(result_of(got)[key], result_of(want)[key]) << key;
    EXPECT_EQ(losses(effective_events(got), run::EventType::train),
              losses(effective_events(want), run::EventType::train));
  }

  TinyData data_;
};

TEST_F(Program, SurvivesBeingKilledAgainAndAgain) {
  data_.spec.tokens = 60'000 * 8;  // long enough for all kills
  const run::RunFolder straight = data_.create("straight");
  const run::RunFolder killed = data_.create("killed");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  Stream random(11, StreamId::starts);
  int kills = 0;

  for (int code = kKilled; code == kKilled;) {
    StartedProgram worker = start(killed);
    if (kills < 12) {
      wait_for_training(killed, kills + 1);
      sleep_seconds(0.15 * random.uniform());
      worker.signal(SIGKILL);
    }
    code = worker.wait();
    kills += code == kKilled;
    ASSERT_THAT(code, AnyOf(0, kKilled)) << said();
  }

  EXPECT_GE(kills, 10);
  expect_same_result(killed, straight);
}

TEST_F(Program, SurvivesBeingKilledWithinACheckpointAndBeforeItsResult) {
  data_.spec.tokens = 60'000 * 8;  // several checkpoints, however fast the machine
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  const run::RunFolder killed = data_.create("killed");

  for (const char* point : {"after-step:50",
                            "checkpoint-half-written:2",
                            "checkpoint-published:2",
                            "before-done",
                            "before-result"}) {
    setenv("RATION_FAULT", point, 1);
    EXPECT_EQ(start(killed).wait(), kKilled) << point << said();
    unsetenv("RATION_FAULT");
    EXPECT_FALSE(killed.result().value()) << point;
  }
  EXPECT_EQ(start(killed).wait(), 0) << said();

  expect_same_result(killed, straight);
}

TEST_F(Program, CheckpointsOnASignalAndEndsWith75) {
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  data_.execution.checkpoint_minutes = 10;
  const run::RunFolder stopped = data_.create("stopped");

  for (const int number : {SIGTERM, SIGUSR1}) {
    StartedProgram worker = start(stopped);
    wait_for_training(stopped, number == SIGTERM ? 1 : 2);
    worker.signal(number);
    EXPECT_EQ(worker.wait(), 75);
  }
  EXPECT_EQ(start(stopped).wait(), 0);

  expect_same_result(stopped, straight);
}

// A queue's forewarning may be repeated: there is still time for a checkpoint.
TEST_F(Program, MakesOneCheckpointHoweverOftenItIsForewarned) {
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  data_.execution.checkpoint_minutes = 10;
  const run::RunFolder warned = data_.create("warned");
  {
    StartedProgram worker = start(warned);
    wait_for_training(warned, 1);

    for (int i = 0; i < 5; ++i) worker.signal(SIGUSR1), sleep_seconds(0.001);

    EXPECT_EQ(worker.wait(), 75);
  }
  EXPECT_EQ(checkpoints(warned, 1), 1);
  EXPECT_EQ(start(warned).wait(), 0);
  expect_same_result(warned, straight);
}

TEST_F(Program, IsForewarnedWithinACheckpointWithoutDamage) {
  data_.spec.tokens = 60'000 * 8;
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  const run::RunFolder warned = data_.create("warned");

  for (int attempt = 1; attempt <= 6; ++attempt) {
    StartedProgram worker = start(warned);
    ASSERT_TRUE(writes_a_checkpoint(warned, attempt));
    worker.signal(SIGUSR1);
    EXPECT_EQ(worker.wait(), 75) << said();
    EXPECT_FALSE(half_written(warned, attempt));
  }

  EXPECT_EQ(start(warned).wait(), 0) << said();
  expect_same_result(warned, straight);
}

TEST_F(Program, LeavesAtOnceOnASecondSignal) {
  data_.spec.width = 512;  // one step lasts longer than the time between two signals
  data_.spec.mlp_width = 0;
  data_.spec.layers = 8;
  data_.spec.batch_sequences = 64;
  data_.spec = run::resolve(data_.spec);
  data_.execution.evals_per_decade = 0;
  data_.execution.products = "own";
  const run::RunFolder folder = data_.create("run");
  StartedProgram worker = start(folder);
  wait_for_training(folder, 1);

  worker.signal(SIGTERM);
  sleep_seconds(0.05);
  worker.signal(SIGTERM);

  EXPECT_EQ(worker.wait(), 76);
  EXPECT_FALSE(folder.result().value());
}

TEST_F(Program, LetsOneOfTwoWorkersFinish) {
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  for (int round = 0; round < 3; ++round) {
    const run::RunFolder folder = data_.create("run" + std::to_string(round));

    StartedProgram first = start(folder);
    StartedProgram second = start(folder);
    const int codes[] = {first.wait(), second.wait()};

    EXPECT_THAT(codes, testing::Contains(0));
    EXPECT_THAT(codes, testing::Each(AnyOf(0, 6)));
    expect_same_result(folder, straight);
  }
}

TEST_F(Program, NamesTheFileThatFoundNoRoomAndContinuesLater) {
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(start(straight).wait(), 0) << said();
  const run::RunFolder cramped = data_.create("cramped");

  EXPECT_EQ(StartedProgram({cramped.path()}, {.errors = errors(), .file_bytes = 6000}).wait(), 1);
  EXPECT_THAT(said(), HasSubstr(cramped.attempt_path(1).string()));
  EXPECT_THAT(said(), HasSubstr("free some space"));
  EXPECT_EQ(start(cramped).wait(), 0) << said();

  expect_same_result(cramped, straight);
}

TEST_F(Program, ScoresTheDocumentsOfPreparedData) {
  const run::RunFolder folder = data_.create("run");
  ASSERT_EQ(start(folder).wait(), 0) << said();
  const Path scores = data_ / "scores.jsonl";

  const int code =
      StartedProgram({"--score", data_.path(), folder.path(), "-o", scores, "threads=1"},
                     {.errors = errors()})
          .wait();

  EXPECT_EQ(code, 0) << said();
  const std::string text = real_files().read(scores).value();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 61);
  EXPECT_THAT(text, HasSubstr("ration.scores/1"));
  EXPECT_THAT(said(), HasSubstr("wrote " + scores.string()));
  EXPECT_EQ(StartedProgram({"--score", data_.path(), folder.path()}, {.errors = errors()}).wait(),
            2);
  EXPECT_THAT(said(), HasSubstr("--score needs -o"));
}

TEST_F(Program, SaysWhatIsWrongWithItsCommandLine) {
  const run::RunFolder nowhere(real_files(), data_ / "nowhere");

  EXPECT_EQ(start(nowhere).wait(), 2);
  EXPECT_THAT(said(), HasSubstr("nowhere/run.json"));
}

}  // namespace
}  // namespace ration::test
