#include "eval/unfinished.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::eval {
namespace {

using store::RunState;
using testing::HasSubstr;

scheduler::RunSummary summary(std::initializer_list<RunState> states) {
  scheduler::RunSummary summary;
  summary.sweep.name = "points";
  for (const RunState state : states) {
    store::RunRow row;
    row.run = std::string(31, 'a') + static_cast<char>('0' + summary.rows.size());
    row.state = state;
    if (state != RunState::done) row.reason = "it had no luck";
    summary.rows.push_back(std::move(row));
  }
  return summary;
}

TEST(UnfinishedSweep, IsNoneWhereAllRunsAreDone) {
  EXPECT_FALSE(why_unfinished(summary({RunState::done, RunState::done}), {}));
}

TEST(UnfinishedSweep, IsInterruptedWhereSomebodyLeftIt) {
  scheduler::RunSummary left = summary({RunState::done, RunState::ready});
  left.cause = scheduler::StopCause::interrupt;
  scheduler::RunSummary detached = summary({RunState::active});
  detached.detached = true;

  for (const scheduler::RunSummary& each : {left, detached}) {
    const std::optional<Error> why = why_unfinished(each, {.what = "trained"});
    ASSERT_TRUE(why);
    EXPECT_EQ(why->kind, ErrorKind::interrupted);
    EXPECT_EQ(why->what, "points is not trained to its end");
  }
}

TEST(UnfinishedSweep, NamesTheRunThatIsNotDoneAndWhy) {
  const std::optional<Error> why = why_unfinished(summary({RunState::done, RunState::failed}), {});

  ASSERT_TRUE(why);
  EXPECT_EQ(why->kind, ErrorKind::resource);
  EXPECT_THAT(why->what, HasSubstr("run aaaaaaaaaaaa of points is failed: it had no luck"));
  EXPECT_THAT(why->hint, HasSubstr("`ration explain aaaaaaaaaaaa`"));
}

TEST(UnfinishedSweep, MayHoldRunsThatDivergedWhereThatIsAResult) {
  const scheduler::RunSummary diverged = summary({RunState::diverged, RunState::done});

  EXPECT_TRUE(why_unfinished(diverged, {}));
  EXPECT_FALSE(why_unfinished(diverged, {.what = "trained", .may_diverge = true}));
}

}  // namespace
}  // namespace ration::eval
