#include "train/batches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

namespace ration::train {
namespace {

Windows counting_windows(std::int32_t tokens, std::int64_t context) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 0);
  return {ids, context};
}

// How often each of the windows came within so many draws.
std::map<std::int64_t, int> times_seen(TrainingData& data, std::int64_t draws) {
  std::map<std::int64_t, int> seen;
  for (; draws > 0; draws -= std::min<std::int64_t>(draws, 3)) {
    const Batch batch = data.next(std::min<std::int64_t>(draws, 3));
    for (std::int64_t i = 0; i < batch.sequences(); ++i)
      ++seen[batch.inputs[i][0].item<std::int64_t>()];
  }
  return seen;
}

TEST(Windows, ShiftTheTargetsByOneToken) {
  const Windows windows = counting_windows(13, 4);
  const std::vector<std::uint32_t> order = {2, 0};

  const Batch batch = windows.batch(order);

  EXPECT_EQ(windows.count(), 3);
  EXPECT_TRUE(
      at::equal(batch.inputs, at::tensor({8, 9, 10, 11, 0, 1, 2, 3}, at::kLong).view({2, 4})));
  EXPECT_TRUE(at::equal(batch.targets, batch.inputs + 1));
}

TEST(Windows, DropThePartThatHasNoTargetForItsLastPosition) {
  EXPECT_EQ(counting_windows(12, 4).count(), 2);
  EXPECT_EQ(counting_windows(4, 4).count(), 0);
}

TEST(TrainingData, PredictsEachUniqueTokenOnceAnEpoch) {
  TrainingData data(counting_windows(10 * 4 + 1, 4), 3, {});

  const std::map<std::int64_t, int> seen = times_seen(data, 10);

  EXPECT_EQ(seen.size(), 10U);
  for (const auto& [first_token, times] : seen) EXPECT_EQ(times, 1) << first_token;
}

TEST(TrainingData, SpreadsAFractionalEpochWithoutRepeating) {
  TrainingData data(counting_windows(10 * 4 + 1, 4), 3, {});

  const std::map<std::int64_t, int> seen = times_seen(data, 24);  // 2.4 epochs
  int more = 0;
  for (const auto& [first_token, times] : seen) {
    EXPECT_GE(times, 2);
    EXPECT_LE(times, 3);
    more += times == 3;
  }

  EXPECT_EQ(seen.size(), 10U);
  EXPECT_EQ(more, 4);
}

TEST(TrainingData, ContinuesFromAStoredPosition) {
  TrainingData straight(counting_windows(41, 4), 3, {});
  straight.next(13);
  TrainingData resumed(counting_windows(41, 4), 3, straight.position());

  EXPECT_TRUE(at::equal(resumed.next(12).inputs, straight.next(12).inputs));
}

TEST(WindowsFor, CountsAPartialWindowWhole) {
  EXPECT_EQ(windows_for(64, 8), 8);
  EXPECT_EQ(windows_for(65, 8), 9);
}

}  // namespace
}  // namespace ration::train
