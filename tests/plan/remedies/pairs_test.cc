#include "plan/remedies/pairs.h"

#include <gtest/gtest.h>

#include "planted.h"

namespace ration::plan {
namespace {

TEST(Partners, AreTheRunsOfTheNearestLength) {
  std::vector<RemedyRun> runs;
  for (const double epochs : {5.0, 10.0, 20.0}) {
    Planted how;
    how.setting.tokens = Tokens(epochs * 5.5e9);
    append(runs, planted_runs("repeat", 2.5, 0, how));
  }
  // A remedy with an overhead of a tenth trains on fewer tokens.
  for (RemedyRun run : planted_runs("remedy", 2.4, 1)) {
    run.tokens = run.tokens / 1.1;
    runs.push_back(run);
  }
  const std::vector<Arm> arms = {{.name = "remedy"}};

  const Result<Matched> matched = match(runs, "repeat", arms);

  ASSERT_TRUE(matched);
  ASSERT_EQ(matched->pairs.size(), 1U);
  EXPECT_EQ(matched->pairs[0].baseline.tokens, Tokens(55e9));
  EXPECT_EQ(matched->pairs[0].seeds, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(Partners, AreNotSharedByTwoRunsOfAnArm) {
  std::vector<RemedyRun> runs = planted_runs("repeat", 2.5, 0);
  append(runs, planted_runs("remedy", 2.4, 1));
  Planted longer;
  longer.setting.tokens = Tokens(60e9);
  append(runs, planted_runs("remedy", 2.4, 2, longer));
  const std::vector<Arm> arms = {{.name = "remedy"}};

  const Result<Matched> matched = match(runs, "repeat", arms);

  ASSERT_FALSE(matched);
  EXPECT_NE(matched.error().describe().find("meet one run"), std::string::npos);
}

}  // namespace
}  // namespace ration::plan
