// on_spike = "rewind": text that is nothing but predictable, with one document of noise in it.
// Nothing is injected: the noise is a spike by the rule of the guard.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "data/pool_builder.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::EventType;
using run::WorkerExit;

constexpr std::uint32_t kEnd = 16;

// A folder of data and a run of 600 steps of one window; 2 epochs, each with one window of noise.
// In fp32 by the processor's passes, in bf16 by those of a device.
class Rewind : public testing::TestWithParam<const char*> {
 protected:
  Rewind() {
    data_.spec.precision = GetParam();
    test::Documents documents;
    for (int i = 0; i < 12; ++i) {
      std::vector<std::uint32_t> document;
      for (std::uint32_t t = 0; t < 199; ++t) document.push_back(3 * t % kEnd);
      document.push_back(kEnd);
      documents.push_back(document);
    }
    Stream noise(5, StreamId::documents);
    std::vector<std::uint32_t> noisy;
    for (int i = 0; i < 15; ++i) noisy.push_back(static_cast<std::uint32_t>(noise.below(kEnd)));
    noisy.push_back(kEnd);
    documents.push_back(noisy);
    const Path path = data_ / "noisy";
    EXPECT_TRUE(real_files().make_folders(path));
    data_.spec.data_digest =
        test::write_pool(path, documents, kEnd + 1, {{0, 3, 6, 9, 12, 15, 2, 5, 8, kEnd}}).digest;
    data_.execution.data = path.string();
    data_.execution.log_every_steps = 1;
    data_.execution.evals_per_decade = 0;
    data_.spec.unique_tokens = 2400;
    data_.spec.tokens = 600 * 8;
    data_.spec.batch_sequences = 1;
    data_.spec.width = 16;
    data_.spec.mlp_width = 0;
    data_.spec.on_spike = "rewind";
    data_.spec = run::resolve(data_.spec);
  }

  static WorkerExit work_on(
      const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
    Surroundings world{real_files(), system_clock(), std::move(stop), {}};
    const WorkerOutcome outcome = work({.run_folder = folder.path()}, world);
    EXPECT_FALSE(outcome.error) << outcome.error->describe();
    return outcome.exit;
  }

  static std::vector<run::Event> events_of(const run::RunFolder& folder, EventType type) {
    std::vector<run::Event> found;
    const std::vector<int> attempts = folder.attempts().value();
    for (const int attempt : attempts) {
      run::EventBatch batch =
          run::read_events(real_files(), folder.events_path(attempt), 0, 0).value();
      for (run::Event& event : batch.events)
        if (event.type == type) found.push_back(std::move(event));
    }
    return found;
  }

  test::TinyData data_;
};

TEST_P(Rewind, GoesBackLeavesEightStepsOutAndFlagsTheResult) {
  const run::RunFolder folder = data_.create("run");

  ASSERT_EQ(work_on(folder), WorkerExit::done);

  const Json result = test::result_of(folder);
  const std::vector<run::Event> spikes = events_of(folder, EventType::spike);
  const std::vector<run::Event> resumes = events_of(folder, EventType::resume);
  ASSERT_FALSE(spikes.empty());
  ASSERT_EQ(resumes.size(), std::min<std::size_t>(spikes.size(), 10));  // then they are only logged
  EXPECT_EQ(result["rewinds"], resumes.size());
  EXPECT_EQ(result["steps"], 600);
  const std::int64_t spike = spikes[0].step;
  EXPECT_EQ(resumes[0].values["reason"], "spike");
  EXPECT_EQ(resumes[0].step, (spike - 8) / 16 * 16);
  EXPECT_EQ(resumes[0].values["left_out_from"], spike - 7);
  std::vector<std::int64_t> left_out;
  for (const run::Event& event : events_of(folder, EventType::skip))
    if (event.seq > resumes[0].seq && (resumes.size() == 1 || event.seq < resumes[1].seq))
      left_out.push_back(event.step);
  EXPECT_EQ(left_out.size(), 8U);
  EXPECT_EQ(left_out.front(), spike - 7);
  EXPECT_EQ(left_out.back(), spike);
  // The text between is predictable: the last loss is far below that of the noise, 10.
  EXPECT_LT(result["train_loss_last"].get<double>(), 1);
}

TEST_P(Rewind, IsNotWhatHappensUnlessAskedFor) {
  data_.spec.on_spike = "log";
  const run::RunFolder folder = data_.create("run");

  ASSERT_EQ(work_on(folder), WorkerExit::done);

  EXPECT_FALSE(events_of(folder, EventType::spike).empty());
  EXPECT_TRUE(events_of(folder, EventType::resume).empty());
  EXPECT_FALSE(test::result_of(folder).contains("rewinds"));
}

// With stops before the spike, between it and the steps made up for, and behind.
TEST_P(Rewind, GivesTheBytesOfAnUninterruptedRunWhereverItIsStopped) {
  const run::RunFolder straight = data_.create("straight");
  ASSERT_EQ(work_on(straight), WorkerExit::done);
  const std::vector<run::Event> spikes = events_of(straight, EventType::spike);
  ASSERT_FALSE(spikes.empty());

  for (const std::int64_t before : {3, 9, -1, -5, -20}) {
    const run::RunFolder stopped = data_.create("stopped" + std::to_string(before));
    std::int64_t left = spikes[0].step - before;
    EXPECT_EQ(work_on(stopped, [&] { return --left <= 0; }), WorkerExit::preempted);
    left = 2;  // and again two steps later
    EXPECT_EQ(work_on(stopped, [&] { return --left <= 0; }), WorkerExit::preempted);
    ASSERT_EQ(work_on(stopped), WorkerExit::done);

    for (const std::string file : {"model.safetensors", "state.safetensors"})
      EXPECT_EQ(test::final_bytes(stopped, file), test::final_bytes(straight, file))
          << file << " stopped " << before << " steps before the spike";
    EXPECT_EQ(test::result_of(stopped)["rewinds"], test::result_of(straight)["rewinds"]);
    EXPECT_EQ(test::losses(test::effective_events(stopped), EventType::train),
              test::losses(test::effective_events(straight), EventType::train));
  }
}

INSTANTIATE_TEST_SUITE_P(On, Rewind, testing::Values("fp32", "bf16"), [](const auto& tested) {
  return std::string(tested.param);
});

}  // namespace
}  // namespace ration::train
