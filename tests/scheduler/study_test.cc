// Tables of a sweep file that say what is done with its runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Study, IsHandedOnAsItStands) {
  const std::string toml =
      "data = 'd'\n[fixed]\ntokens = 64\n"
      "[merge]\nmethods = ['ties', 'average']\nk = 0.2\ntop = 3\nall = true\n"
      "[merge.split]\nchoose = 8\n";
  const std::string json =
      R"({"data":"d","fixed":{"tokens":64},"merge":{"methods":["ties","average"],"k":0.2,)"
      R"("top":3,"all":true,"split":{"choose":8}}})";
  const Json table = {{"methods", {"ties", "average"}},
                      {"k", 0.2},
                      {"top", 3},
                      {"all", true},
                      {"split", {{"choose", 8}}}};

  for (const std::string& text : {toml, json}) {
    const Result<Sweep> sweep = read_sweep(text, "study.toml");
    ASSERT_TRUE(sweep) << sweep.error().describe();
    ASSERT_TRUE(sweep->study);
    EXPECT_EQ(sweep->study->kind, "merge");
    EXPECT_EQ(sweep->study->table, table);
    EXPECT_TRUE(sweep->has_runs);
  }
}

TEST(Study, AloneHasNoRuns) {
  const Result<Sweep> sweep = read_sweep("[region]\ncheckpoints = ['run:a']\n", "study.toml");

  ASSERT_TRUE(sweep);
  EXPECT_EQ(sweep->study->kind, "region");
  EXPECT_FALSE(sweep->has_runs);
  EXPECT_TRUE(read_sweep("data = 'd'\n", "plain.toml")->has_runs);
  EXPECT_FALSE(read_sweep("data = 'd'\n", "plain.toml")->study);
}

TEST(Study, IsOneAFile) {
  const Result<Sweep> two = read_sweep("[merge]\nk = 1\n[fuse]\nrounds = 2\n", "study.toml");
  const Result<Sweep> word = read_sweep("data = 'd'\nfuse = 'yes'\n", "study.toml");

  ASSERT_FALSE(two);
  EXPECT_THAT(test::problems_of(two.error()), ElementsAre(HasSubstr("3:2 [merge] and [fuse]")));
  ASSERT_FALSE(word);
  EXPECT_THAT(test::problems_of(word.error()), ElementsAre(HasSubstr("fuse must be a table")));
}

}  // namespace
}  // namespace ration::scheduler
