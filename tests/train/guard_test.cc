#include "train/guard.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ration::train {
namespace {

using Verdict = Guard::Verdict;

const double kNan = std::nan("");

// 128 losses around 3 with a small deviation, and norms around 1.
Guard settled() {
  Guard guard;
  for (std::int64_t step = 1; step <= 128; ++step)
    guard.judge(step, step % 2 == 0 ? 3.01 : 2.99, 1, true);
  return guard;
}

TEST(Guard, EndsARunAfterThreeStepsInARowThatAreNotFinite) {
  Guard guard;

  EXPECT_EQ(guard.judge(1, kNan, 1, false), Verdict::skip);
  EXPECT_EQ(guard.judge(2, kNan, 1, false), Verdict::skip);
  EXPECT_EQ(guard.judge(3, 3, 1, true), Verdict::fine);
  EXPECT_EQ(guard.judge(4, kNan, 1, false), Verdict::skip);
  EXPECT_EQ(guard.judge(5, kNan, 1, false), Verdict::skip);
  EXPECT_EQ(guard.judge(6, kNan, 1, false), Verdict::diverged);
}

TEST(Guard, EndsARunAfterTenSuchStepsInAThousand) {
  Guard close, apart;
  Verdict last_close = Verdict::fine, last_apart = Verdict::fine;
  for (std::int64_t i = 0; i < 10; ++i) {
    last_close =
        close.judge(1 + 111 * i, kNan, 1, false);  // the tenth is 999 steps after the first
    close.judge(2 + 111 * i, 3, 1, true);
    last_apart = apart.judge(1 + 112 * i, kNan, 1, false);  // 1008 steps
    apart.judge(2 + 112 * i, 3, 1, true);
  }

  EXPECT_EQ(last_close, Verdict::diverged);
  EXPECT_EQ(last_apart, Verdict::skip);
}

TEST(Guard, ReportsASpikeOnlyWhenLossAndNormBothJump) {
  EXPECT_EQ(settled().judge(129, 4, 20, true), Verdict::spike);
  EXPECT_EQ(settled().judge(129, 4, 5, true), Verdict::fine);
  EXPECT_EQ(settled().judge(129, 3.05, 20, true), Verdict::fine);
}

TEST(Guard, NeedsAFullHistoryForASpike) {
  Guard guard;
  for (std::int64_t step = 1; step <= 127; ++step) guard.judge(step, 3, 1, true);

  EXPECT_EQ(guard.judge(128, 100, 100, true), Verdict::fine);
}

TEST(Guard, ContinuesFromItsStoredState) {
  Guard guard = settled();
  guard.judge(129, kNan, 1, false);
  guard.judge(130, kNan, 1, false);
  Guard restored;
  restored.restore(Json::parse(guard.to_json().dump()));

  EXPECT_EQ(restored.to_json(), guard.to_json());
  EXPECT_EQ(Guard(restored).judge(131, 4, 20, true), Verdict::spike);
  EXPECT_EQ(restored.judge(131, kNan, 1, false), Verdict::diverged);
}

}  // namespace
}  // namespace ration::train
