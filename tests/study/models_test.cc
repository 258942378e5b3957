#include "study/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/sweep_support.h"

namespace ration::study {
namespace {

using scheduler::test::PreparedFolder;
using testing::HasSubstr;
using testing::SizeIs;

scheduler::Sweep sweep_in(const PreparedFolder& folder, const std::string& text) {
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, folder.file("sweep.toml"));
  EXPECT_TRUE(sweep) << sweep.error().describe();
  return std::move(*sweep);
}

TEST(Models, StandInTheFilesOrderWithTextBlockReplicaAndStart) {
  const PreparedFolder folder;
  const scheduler::Sweep sweep = sweep_in(folder,
                                          "data = 'data'\nseeds = 2\n[fixed]\ntokens = 6400\n"
                                          "[[block]]\nname = 'tuned'\n[block.fixed]\n"
                                          "init = 'block:base'\n"
                                          "[[block]]\nname = 'base'\n");

  const Result<std::vector<Model>> models = models_of(sweep, real_files());

  ASSERT_TRUE(models) << models.error().describe();
  ASSERT_THAT(*models, SizeIs(4));
  EXPECT_EQ(models->front().block, "tuned");
  EXPECT_EQ(models->front().corpus, "data");
  EXPECT_EQ((*models)[1].replica, 1);
  EXPECT_EQ(models->back().block, "base");
  EXPECT_FALSE(models->back().start);
  ASSERT_TRUE(models->front().start);
  EXPECT_EQ(models->front().start->run, (*models)[2].run);
}

TEST(HeldOutWindows, AreTwoHalvesWithoutACommonWindow) {
  const PreparedFolder folder;  // 100,000 held-out tokens: 1562 windows of 64

  const Result<HeldOut> held = held_out(real_files(), folder.file("data"), "prose", 64);

  ASSERT_TRUE(held) << held.error().describe();
  EXPECT_EQ(held->choose.first_window, 0);
  EXPECT_EQ(held->choose.windows, held->report.first_window);
  EXPECT_EQ(held->report.windows, held->choose.windows);
  EXPECT_EQ(held->all.windows, 2 * held->choose.windows);
  EXPECT_GE(held->all.windows, 1560);
  EXPECT_EQ(held->report.name, "prose");
  EXPECT_FALSE(held->report.digest.empty());
}

TEST(HeldOutWindows, AreBoundedWhereThatIsAskedFor) {
  const PreparedFolder folder;

  const Result<HeldOut> held = held_out(real_files(), folder.file("data"), "prose", 64, 10);

  ASSERT_TRUE(held) << held.error().describe();
  EXPECT_EQ(held->report.first_window, 10);
  EXPECT_EQ(held->report.windows, 10);
}

TEST(HeldOutWindows, OfDataThatHoldsTooFewAreRefused) {
  const PreparedFolder folder;

  const Result<HeldOut> held = held_out(real_files(), folder.file("data"), "prose", 60'000);

  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::input);
  EXPECT_THAT(held.error().what, HasSubstr("holds 1 held-out windows of 60000 tokens"));
}

}  // namespace
}  // namespace ration::study
