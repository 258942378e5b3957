#include "merge/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "merge/models.h"

namespace ration {
namespace {

using merge::Comparison;
using test::Models;
using test::recipe_of;

TEST(Compare, MeasuresTaskVectorsTensorByTensorAndAllTogether) {
  Models models;
  models.add("base", {{"a", {2}, {1, 1}}, {"b", {2}, {0, 0}}});
  models.add("x", {{"a", {2}, {4, 5}}, {"b", {2}, {0, 1}}});   // tau (3, 4), (0, 1)
  models.add("y", {{"a", {2}, {4, -3}}, {"b", {2}, {0, 1}}});  // tau (3, -4), (0, 1)

  const auto rows = merge::compare(models.inputs(recipe_of("average", {"x", "y"}, "base")), 1, {});

  ASSERT_TRUE(rows) << rows.error().describe();
  ASSERT_EQ(rows->size(), 3U);
  const Comparison& a = (*rows)[0];
  EXPECT_EQ(a.tensor, "a");
  EXPECT_DOUBLE_EQ(a.norm(0), 5);
  EXPECT_DOUBLE_EQ(a.cosine(0, 1), (9.0 - 16.0) / 25);
  EXPECT_EQ(a.conflicts, 1U);
  EXPECT_EQ((*rows)[1].changed, 1U);
  const Comparison& all = (*rows)[2];
  EXPECT_EQ(all.tensor, "");
  EXPECT_EQ(all.elements, 4U);
  EXPECT_DOUBLE_EQ(all.norm(1), std::sqrt(26.0));
  EXPECT_DOUBLE_EQ(all.conflict_share(), 0.25);
}

TEST(Compare, CountsConflictsAmongTheLargestEntries) {
  Models models;
  models.add("base", test::vector_model({0, 0, 0, 0}));
  models.add("x", test::vector_model({5, 1, -1, 4}));
  models.add("y", test::vector_model({-5, -1, 1, 4}));

  const auto rows =
      merge::compare(models.inputs(recipe_of("average", {"x", "y"}, "base")), 0.5, {});

  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->back().conflicts, 3U);
  EXPECT_EQ(rows->back().trimmed_conflicts, 1U) << "5 against -5; the ones are trimmed";
}

TEST(Compare, GivesEmptyTensorsARow) {
  Models models;
  models.add("x", {{"a", {0, 4}, {}}, {"b", {1}, {1}}, {"c", {0}, {}}});

  const auto rows = merge::compare(models.inputs(recipe_of("average", {"x"})), 1, {});

  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 4U);
  EXPECT_EQ((*rows)[0].tensor, "a");
  EXPECT_EQ((*rows)[0].elements, 0U);
  EXPECT_EQ((*rows)[0].norm(0), 0);
  EXPECT_EQ((*rows)[2].tensor, "c");
}

TEST(Compare, TakesModelsThemselvesWithoutABase) {
  Models models;
  models.add("x", test::vector_model({1, 0}));
  models.add("y", test::vector_model({1, 1}));

  const auto rows = merge::compare(models.inputs(recipe_of("average", {"x", "y"})), 1, {});

  ASSERT_TRUE(rows);
  EXPECT_DOUBLE_EQ(rows->back().cosine(0, 1), std::sqrt(0.5));
}

}  // namespace
}  // namespace ration
