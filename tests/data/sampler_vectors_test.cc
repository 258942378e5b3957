#include <gtest/gtest.h>

#include "data/pool_builder.h"
#include "data/schedule.h"
#include "data/shards.h"
#include "support/temporary_folder.h"
#include "support/vectors.h"

namespace ration::data {
namespace {

TEST(WindowScheduleReference, FollowsThePublishedOrderOverSeveralEpochs) {
  const Json order = test::vectors("sampler_reference.json")["order"];
  WindowSchedule schedule(order["n_windows"], order["seed"]);
  ASSERT_EQ(order["seq"].size(), order["windows_total"].get<std::size_t>());

  for (const Json& expected : order["seq"]) {
    EXPECT_EQ(schedule.next(), expected[1].get<std::uint32_t>());
    EXPECT_EQ(schedule.position().epoch, expected[0].get<std::uint64_t>());
  }
}

TEST(WindowScheduleReference, ResumesInTheMiddleOfAnEpoch) {
  const Json resume = test::vectors("sampler_reference.json")["resume"];
  const auto windows = resume["n_windows"].get<std::uint32_t>();
  const auto after = resume["after_windows"].get<std::uint64_t>();
  WindowSchedule schedule(
      windows, resume["seed"], {.epoch = after / windows, .index = after % windows});
  ASSERT_FALSE(resume["next5"].empty());

  for (const Json& expected : resume["next5"]) {
    EXPECT_EQ(schedule.next(), expected[1].get<std::uint32_t>());
    EXPECT_EQ(schedule.position().epoch, expected[0].get<std::uint64_t>());
  }
}

// Documents of one token each, so that the tokens of a subset name its documents.
TEST(UniqueSubsetReference, TakesThePublishedDocumentsInThePublishedOrder) {
  const Json nested = test::vectors("sampler_reference.json")["nested_subset"];
  const auto count = nested["n_pool"].get<std::uint32_t>();
  test::Documents documents;
  for (std::uint32_t i = 0; i < count; ++i) documents.push_back({i});
  test::TemporaryFolder folder;
  test::write_pool(folder.path(), documents, count);
  const TokenPool pool = test::open_train_pool(folder.path());
  ASSERT_FALSE(nested["k"].empty());

  for (std::size_t i = 0; i < nested["k"].size(); ++i) {
    const auto tokens = unique_subset(pool, nested["k"][i], nested["seed"]);

    ASSERT_TRUE(tokens) << tokens.error().describe();
    const auto chosen = nested["chosen"][i].get<std::vector<std::int32_t>>();
    ASSERT_EQ(tokens->size(), chosen.size() + 1) << "one more, the last target";
    EXPECT_TRUE(std::equal(chosen.begin(), chosen.end(), tokens->begin()));
  }
}

}  // namespace
}  // namespace ration::data
