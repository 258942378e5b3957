#include "study/merge/mechanism.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "merge/merge.h"
#include "study/merge/world.h"
#include "support/temporary_folder.h"

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

using Vector = std::vector<float>;

Path write_model(const Path& file, const Vector& values) {
  EXPECT_TRUE(checkpoint::write_safetensors(real_files(),
                                            file,
                                            {{.name = "w",
                                              .dtype = checkpoint::DType::f32,
                                              .shape = {values.size()},
                                              .bytes = std::as_bytes(std::span(values))}}));
  return file;
}

// Two changes of ten entries. The largest 20 % of c0's are -8 and 7; of c1's 6 and -5.
const Vector kBase(10, 1);
const Vector kFirst = {-8, 1, 1, 1, 1, 1, 1, 1, 0, 7};
const Vector kSecond = {6, 1, -1, 1, 0, 1, 1, 1, -5, 0};

Vector plus(const Vector& a, const Vector& b) {
  Vector sum = a;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
  return sum;
}

class Mechanism : public testing::Test {
 protected:
  Mechanism() {
    paths_ = {{"base", write_model(folder_ / "base.safetensors", kBase)},
              {"c0/0", write_model(folder_ / "c0.safetensors", plus(kBase, kFirst))},
              {"c1/0", write_model(folder_ / "c1.safetensors", plus(kBase, kSecond))}};
    const Json table = {{"base", "base"}, {"models", {"tuned"}}};
    outcome_ = carry_out_merges(read_merge_table(table, "sweep.toml").value(),
                                models_,
                                test::made_up_losses([](auto&&...) { return 0.5; }))
                   .value();
  }

  // Makes every point of the list, as a trainer would, and keeps its change by its recipe.
  MergeEvaluate keeping(std::map<std::string, std::vector<Vector>>& made) {
    return [&](const run::PointList& list, const std::string&) {
      std::vector<eval::PointLoss> losses;
      for (const run::Point& point : list.points) {
        const Json& recipe = point.recipe;
        made[recipe["weights"].dump()].push_back(change_of(list, recipe));
        losses.push_back({.point = point.name,
                          .corpus = list.corpora[point.corpora.at(0)].name,
                          .loss = 2.5,
                          .tokens = 1});
      }
      return Result<std::vector<eval::PointLoss>>(std::move(losses));
    };
  }

  Vector change_of(const run::PointList& list, const Json& json) {
    const merge::Recipe recipe = merge::parse_recipe(json, "point").value();
    std::deque<checkpoint::Checkpoint> opened;
    const auto named = [&](const std::string& name) {
      const auto file = list.files.find(name);
      const Path path = file == list.files.end() ? paths_.at(name) : Path(file->second);
      if (file != list.files.end()) {
        EXPECT_EQ(list.models.at(name).sha256, sha256_hex(real_files().read(path).value()));
      }
      opened.push_back(checkpoint::Checkpoint::open(real_files(), path).value());
      return merge::Named{.name = name, .checkpoint = &opened.back(), .statistics = nullptr};
    };
    const merge::Named base = named(recipe.base);
    merge::Inputs inputs{.base = &base, .models = {}};
    for (const std::string& model : recipe.models) inputs.models.push_back(named(model));
    const Path out = folder_ / "made.safetensors";
    EXPECT_TRUE(merge::merge_to_file(real_files(), recipe, inputs, out, {}));
    const auto made = checkpoint::Checkpoint::open(real_files(), out).value();
    Vector values(10);
    std::memcpy(values.data(), made.bytes(*made.find("w")).data(), 40);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] -= kBase[i];
    return values;
  }

  Result<MergeMechanism> examine(const MergeEvaluate& evaluate) {
    return examine_merges(models_, outcome_, paths_, real_files(), folder_ / "altered", evaluate);
  }

  ration::test::TemporaryFolder folder_;
  MergeModels models_ = test::made_up_models(2, 1);
  std::map<std::string, Path> paths_;
  MergeOutcome outcome_;
};

TEST_F(Mechanism, CountsConflictsAndTheLengthInTheLargestEntries) {
  std::map<std::string, std::vector<Vector>> made;

  const Result<MergeMechanism> found = examine(keeping(made));

  ASSERT_TRUE(found) << found.error().describe();
  ASSERT_EQ(found->conflicts.size(), 1U);
  EXPECT_DOUBLE_EQ(found->conflicts[0].share, 0.2) << "the first and the third entry";
  EXPECT_DOUBLE_EQ(found->conflicts[0].trimmed, 0.1) << "the first";
  EXPECT_NEAR(found->energy[0][0], (64 + 49) / (64 + 49 + 7.0), 1e-12);
  EXPECT_NEAR(found->energy[1][0], (36 + 25) / (36 + 25 + 6.0), 1e-12);
}

TEST_F(Mechanism, ResetsAndTurnsTheEntriesThatItSays) {
  std::map<std::string, std::vector<Vector>> made;

  const Result<MergeMechanism> found = examine(keeping(made));

  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_THAT(made["[1.0,-1.0]"][0], ElementsAre(0, 1, 1, 1, 1, 1, 1, 1, 0, 0)) << "top reset";
  EXPECT_THAT(made["[0.0,1.0]"][0], ElementsAre(-8, 0, 0, 0, 0, 0, 0, 0, 0, 7)) << "bottom reset";
  EXPECT_THAT(made["[-1.0,2.0]"][0], ElementsAre(-8, -1, -1, -1, -1, -1, -1, -1, 0, 7))
      << "bottom turned";
  const std::vector<Vector>& turned = made["[1.0,-2.0]"];
  ASSERT_EQ(turned.size(), 6U) << "three rates of two models";
  EXPECT_THAT(turned[2], ElementsAre(8, 1, 1, 1, 1, 1, 1, 1, 0, -7)) << "all of the top";
  for (const Vector& each : turned)  // at every rate the magnitudes stay
    for (std::size_t i = 0; i < each.size(); ++i) {
      const Vector& own = &each - turned.data() < 3 ? kFirst : kSecond;
      EXPECT_EQ(std::abs(each[i]), std::abs(own[i]));
    }
}

TEST_F(Mechanism, ReportsWhatAlteredModelsKeepOfTheirGain) {
  std::map<std::string, std::vector<Vector>> made;

  const Result<MergeMechanism> found = examine(keeping(made));

  ASSERT_TRUE(found) << found.error().describe();
  std::map<std::string, int> counts;
  for (const MergeAlteration& each : found->alterations) {
    EXPECT_NEAR(each.recovered, 0.5, 1e-12) << "2.5 between the base's 3 and the own 2";
    ++counts[each.what];
  }
  EXPECT_THAT(counts,
              UnorderedElementsAre(Pair("top 20 % reset", 2),
                                   Pair("bottom 80 % reset", 2),
                                   Pair("top 20 % turned", 6),
                                   Pair("bottom 80 % turned", 2)));
}

TEST_F(Mechanism, WritesTheSameFilesWhenItIsRepeated) {
  std::map<std::string, std::vector<Vector>> made;
  ASSERT_TRUE(examine(keeping(made)));
  const Path file = folder_ / "altered" / "c0-0-top-0.5.safetensors";
  const std::string before = real_files().read(file).value();

  ASSERT_TRUE(examine(keeping(made)));

  EXPECT_EQ(real_files().read(file).value(), before);
}

}  // namespace
}  // namespace ration::study
