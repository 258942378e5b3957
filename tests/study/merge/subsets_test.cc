#include "study/merge/subsets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

const std::vector<std::size_t> kFour = {1, 4, 6, 7};

std::vector<std::vector<std::size_t>> corpora_of(const std::vector<MergeSubset>& subsets) {
  std::vector<std::vector<std::size_t>> all;
  for (const MergeSubset& subset : subsets) all.push_back(subset.corpora);
  return all;
}

TEST(MergeSubsets, AreAllInOrderWhereThereAreNoMoreThanAskedFor) {
  const std::vector<std::int64_t> sizes = {3};

  EXPECT_THAT(
      corpora_of(merge_subsets(kFour, sizes, 4, 0)),
      ElementsAre(
          ElementsAre(1, 4, 6), ElementsAre(1, 4, 7), ElementsAre(1, 6, 7), ElementsAre(4, 6, 7)));
}

TEST(MergeSubsets, AreDrawnWithoutRepetitionWhereThereAreMore) {
  const std::vector<std::size_t> eight = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::int64_t> sizes = {2, 4, 8};

  const std::vector<MergeSubset> subsets = merge_subsets(eight, sizes, 10, 3);

  ASSERT_THAT(subsets, SizeIs(21)) << "28 and 70 are more than 10, and of 8 there is one";
  std::set<std::vector<std::size_t>> distinct;
  for (const MergeSubset& subset : subsets) {
    EXPECT_EQ(subset.corpora.size(), static_cast<std::size_t>(subset.size));
    EXPECT_EQ(std::set<std::size_t>(subset.corpora.begin(), subset.corpora.end()).size(),
              subset.corpora.size());
    EXPECT_TRUE(std::is_sorted(subset.corpora.begin(), subset.corpora.end()));
    distinct.insert(subset.corpora);
  }
  EXPECT_THAT(distinct, SizeIs(21));
}

TEST(MergeSubsets, DependOnTheSeedAndNotOnOtherSizes) {
  const std::vector<std::size_t> eight = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::int64_t> both = {2, 4}, one = {4};

  const auto four = corpora_of(merge_subsets(eight, one, 10, 3));
  const auto all = corpora_of(merge_subsets(eight, both, 10, 3));

  EXPECT_EQ(std::vector<std::vector<std::size_t>>(all.begin() + 10, all.end()), four);
  EXPECT_NE(corpora_of(merge_subsets(eight, one, 10, 4)), four);
}

TEST(MergeSubsets, DrawEachCorpusAboutEquallyOften) {
  const std::vector<std::size_t> eight = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::int64_t> sizes = {4};
  std::vector<int> counts(8);
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    for (const MergeSubset& subset : merge_subsets(eight, sizes, 10, seed))
      for (const std::size_t corpus : subset.corpora) ++counts[corpus];

  // 2000 subsets of half of the corpora; without repetition the deviation is below that of a
  // binomial, sqrt(500) = 22.
  for (const int count : counts) EXPECT_NEAR(count, 1000, 4 * 22);
}

}  // namespace
}  // namespace ration::study
