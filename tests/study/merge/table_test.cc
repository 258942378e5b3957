#include "study/merge/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace ration::study {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Json small_table() { return {{"base", "base"}, {"models", {"tuned"}}}; }

std::vector<std::string> problems_of(const Json& table) {
  const Result<MergeTable> read = read_merge_table(table, "sweep.toml");
  if (read) return {};
  EXPECT_EQ(read.error().kind, ErrorKind::usage);
  std::vector<std::string> all = {read.error().what};
  for (const Error& cause : read.error().causes) all.push_back(cause.what + "; " + cause.hint);
  return all;
}

TEST(MergeTable, HasDefaultsForAllButTheModels) {
  const Result<MergeTable> read = read_merge_table(small_table(), "sweep.toml");

  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_FALSE(read->of_weights());
  EXPECT_EQ(read->subsets, 10);
  EXPECT_EQ(read->min_gain, 0.05);
  EXPECT_TRUE(read->sizes.empty());
  EXPECT_THAT(read->against, ElementsAre("average", "task_arithmetic"));
}

TEST(MergeTable, GivesAllMethodsThatChooseTheSameNumberOfTrialsByDefault) {
  std::set<std::size_t> counts;
  std::vector<std::string> labels;
  for (const MergeMethod& method : default_merge_methods()) {
    labels.push_back(method.label);
    if (method.label != "average") counts.insert(method.trials.size());
  }

  EXPECT_THAT(labels, ElementsAre("average", "task_arithmetic", "ties", "dare_ties"));
  EXPECT_THAT(counts, ElementsAre(20U));
}

TEST(MergeTable, TriesAllCombinationsOfAMethodsLists) {
  Json table = small_table();
  table["method"] = {{{"name", "ties"}, {"k", {0.1, 0.2}}, {"lambda", {1, 2}}, {"elect", false}}};

  const Result<MergeTable> read = read_merge_table(table, "sweep.toml");

  ASSERT_TRUE(read) << read.error().describe();
  const MergeMethod& method = read->methods.front();
  ASSERT_THAT(method.trials, SizeIs(4));
  EXPECT_EQ(method.trials[1], Json({{"elect", false}, {"k", 0.1}, {"lambda", 2}}));
  EXPECT_EQ(text_of_members(method.trials[1]), "elect false, k 0.1, lambda 2");
  EXPECT_EQ(method.untuned, Json({{"elect", false}, {"k", 0.2}, {"lambda", 1.0}}))
      << "published values of what is chosen, the file's of what is not";
}

TEST(MergeTable, TellsAllMistakesAtOnce) {
  const std::vector<std::string> problems =
      problems_of({{"models", {"tuned"}},
                   {"windos", 3},
                   {"subsets", 0},
                   {"sizes", {1, 2}},
                   {"min_gain", -1},
                   {"mechanism", "yes"},
                   {"against", {"tise"}},
                   {"method", {{{"name", "ties"}}, {{"name", "tie"}}}}});

  EXPECT_THAT(problems, Contains(HasSubstr("names no base")));
  EXPECT_THAT(problems,
              Contains(HasSubstr("[merge] windos is no key here; did you mean \"windows\"?")));
  EXPECT_THAT(problems, Contains(HasSubstr("subsets = 0 is out of range; a whole number from 1")));
  EXPECT_THAT(problems, Contains(HasSubstr("sizes = 1 is out of range; a whole number from 2")));
  EXPECT_THAT(problems, Contains(HasSubstr("min_gain = -1 is out of range; a number above 0")));
  EXPECT_THAT(problems, Contains(HasSubstr("mechanism = \"yes\" is neither true nor false")));
  EXPECT_THAT(
      problems,
      Contains(HasSubstr("against = \"tise\" is none of the methods; did you mean \"ties\"?")));
  EXPECT_THAT(problems, Contains(HasSubstr("name = \"tie\" is no method; did you mean \"ties\"?")));
}

TEST(MergeTable, RefusesMethodsThatTryUnequallyOften) {
  Json table = small_table();
  table["method"] = {{{"name", "average"}},
                     {{"name", "ties"}, {"k", {0.1, 0.2}}},
                     {{"name", "task_arithmetic"}, {"lambda", {0.1, 0.2, 0.3}}}};

  EXPECT_THAT(problems_of(table), Contains(HasSubstr("trials: ties 2, task_arithmetic 3")));
}

TEST(MergeTable, RefusesWhatAMethodCannotBeGiven) {
  Json table = small_table();
  table["method"] = {{{"name", "ties"}, {"kk", 0.1}},
                     {{"name", "average"}},
                     {{"name", "average"}},
                     {{"name", "regmean"}},
                     {{"name", "dare_ties"}, {"density", {0.5, 2.0}}},
                     {{"name", "slerp"}}};

  const std::vector<std::string> problems = problems_of(table);

  EXPECT_THAT(problems, Contains(HasSubstr("ties has no \"kk\"; did you mean \"k\"?")));
  EXPECT_THAT(problems, Contains(HasSubstr("two are called \"average\"")));
  EXPECT_THAT(problems, Contains(HasSubstr("regmean needs statistics")));
  EXPECT_THAT(problems, Contains(HasSubstr("density")));
  EXPECT_THAT(problems, Contains(HasSubstr("slerp joins two models")));
}

TEST(MergeTable, TakesWeightsWithACorpusEach) {
  const Json table = {{"base", "file:b"}, {"models", {"run:x", "file:y"}}, {"corpora", {"p", "q"}}};

  EXPECT_TRUE(read_merge_table(table, "sweep.toml").value().of_weights());

  Json short_of_one = table;
  short_of_one["corpora"] = {"p"};
  EXPECT_THAT(problems_of(short_of_one), Contains(HasSubstr("1 folder of corpora for 2 models")));
  Json mixed = table;
  mixed["models"] = {"run:x", "tuned"};
  EXPECT_THAT(problems_of(mixed), Contains(HasSubstr("mixes blocks and weights")));
}

}  // namespace
}  // namespace ration::study
