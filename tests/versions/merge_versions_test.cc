#include "versions/merge_versions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "merge/numbers.h"
#include "versions/restore.h"
#include "versions/versions.h"

namespace ration {
namespace {

using checkpoint::DType;
using test::Numbers;
using test::Versions;
using versions::Ancestor;
using versions::Manifest;
using versions::MergedVersion;
using versions::Strategy;
using Model = std::map<std::string, Numbers>;
using Kind = Strategy::Kind;

class MergeVersions : public testing::Test {
 protected:
  MergedVersion merge(const Manifest& base,
                      const Manifest& ours,
                      const Manifest& theirs,
                      const std::string& strategy,
                      bool ancestor = false) {
    return merge(Ancestor{base}, ours, theirs, strategy, ancestor);
  }
  MergedVersion merge(const Ancestor& base,
                      const Manifest& ours,
                      const Manifest& theirs,
                      const std::string& strategy,
                      bool ancestor = false) {
    Result<MergedVersion> merged = merge_versions(disk.store(),
                                                  {base, ours, theirs},
                                                  *versions::parse_strategy(strategy),
                                                  {.threads = 1, .ancestor = ancestor});
    if (!merged) throw std::runtime_error(merged.error().describe());
    return *merged;
  }

  // The merged file, as git would check it out, read back as a checkpoint.
  Model restored(const MergedVersion& merged) {
    const Path path = disk.folder() / "restored";
    const Result<void> done = restore_to_file(disk.store(), merged.result.manifest, path, 1);
    if (!done) throw std::runtime_error(done.error().describe());
    const auto file = checkpoint::TensorFile::open(real_files(), path);
    if (!file) throw std::runtime_error(file.error().describe());
    Model model;
    for (const checkpoint::TensorInfo& info : file->tensors()) {
      Numbers& numbers = model[info.name];
      numbers.shape = info.shape;
      numbers.values.resize(file->bytes(info).size() / 4);
      std::memcpy(numbers.values.data(), file->bytes(info).data(), file->bytes(info).size());
    }
    return model;
  }

  Versions disk;
};

// The spec's section 2, defect 3: Git-Theta divided by 2 once more and gave 0.5.
TEST_F(MergeVersions, AverageOfOneAndOneIsOne) {
  const Manifest base = disk.keep({{"w", {{2}, {0, 0}}}});
  const Manifest ours = disk.keep({{"w", {{2}, {1, 4}}}});
  const Manifest theirs = disk.keep({{"w", {{2}, {1, 2}}}});

  const MergedVersion merged = merge(base, ours, theirs, "average");

  EXPECT_EQ(restored(merged).at("w").values, (std::vector<float>{1, 3}));
  EXPECT_EQ(merged.mixed, std::vector<std::string>{"w"});
}

// Defect 4: an average left a pair in the place of what describes a tensor.
TEST_F(MergeVersions, AnAverageIsDescribedLikeAnyTensor) {
  const Manifest base = disk.keep({{"w", {{2}, {0, 0}}}});
  const Manifest ours = disk.keep({{"w", {{2}, {1, 4}}}});
  const Manifest theirs = disk.keep({{"w", {{2}, {1, 2}}}});

  const MergedVersion merged = merge(base, ours, theirs, "average");

  const Result<Manifest> read = versions::parse_manifest(to_text(merged.result.manifest));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, disk.keep({{"w", {{2}, {1, 3}}}})) << "as if the file had been added";
}

TEST_F(MergeVersions, TakesWhatOnlyOneSideChanged) {
  const Manifest base = disk.keep({{"a", {{1}, {1}}}, {"b", {{1}, {2}}}, {"c", {{1}, {3}}}});
  const Manifest ours = disk.keep({{"a", {{1}, {10}}}, {"b", {{1}, {2}}}, {"n", {{1}, {5}}}});
  const Manifest theirs =
      disk.keep({{"a", {{1}, {1}}}, {"b", {{1}, {20}}}, {"c", {{1}, {3}}}, {"t", {{2}, {6, 7}}}});

  const MergedVersion merged = merge(base, ours, theirs, "fail");

  ASSERT_TRUE(merged.conflicts.empty());
  const Model model = restored(merged);
  EXPECT_EQ(model.size(), 4U) << "c was deleted by ours";
  EXPECT_EQ(model.at("a").values[0], 10);
  EXPECT_EQ(model.at("b").values[0], 20);
  EXPECT_EQ(model.at("n").values[0], 5);
  EXPECT_EQ(model.at("t").values, (std::vector<float>{6, 7}));
  EXPECT_EQ(merged.from_theirs, (std::vector<std::string>{"b", "t"}));
}

TEST_F(MergeVersions, IsTheSideItselfWhereOnlyThatSideChanged) {
  const Manifest base = disk.keep({{"w", {{2}, {0, 0}}}}, {{"step", "1"}});
  const Manifest theirs = disk.keep({{"w", {{2}, {1, 2}}}, {"v", {{1}, {1}}}}, {{"step", "2"}});

  EXPECT_EQ(merge(base, base, theirs, "fail").result.manifest, theirs);
  EXPECT_EQ(merge(base, theirs, base, "fail").result.manifest, theirs);
  EXPECT_EQ(merge(base, theirs, theirs, "fail").result.manifest, theirs);
}

TEST_F(MergeVersions, ListsEveryConflictAndWritesNothing) {
  const Manifest base =
      disk.keep({{"w", {{2}, {0, 0}}}, {"v", {{1}, {0}}}, {"u", {{1}, {0}}}}, {{"step", "1"}});
  const Manifest ours =
      disk.keep({{"w", {{2}, {1, 1}}}, {"v", {{1}, {1}}}, {"n", {{1}, {0}}}}, {{"step", "2"}});
  const Manifest theirs =
      disk.keep({{"w", {{1, 2}, {1, 1}}}, {"v", {{1}, {2}}}, {"u", {{1}, {3}}}, {"n", {{1}, {1}}}},
                {{"step", "3"}});
  const auto objects = disk.store().list();

  const MergedVersion merged = merge(base, ours, theirs, "fail");

  std::map<std::string, std::string> told;
  for (const auto& conflict : merged.conflicts) told.emplace(conflict.what, conflict.reason);
  EXPECT_EQ(told,
            (std::map<std::string, std::string>{
                {"tensor w", "changed by both, at least one of them its dtype or shape"},
                {"tensor v", "changed by both"},
                {"tensor u", "deleted by ours, changed by theirs"},
                {"tensor n", "added by both"},
                {"metadata step", "changed by both"}}));
  EXPECT_EQ(*disk.store().list(), *objects);
}

// Every strategy against the formula in double, over tensors of several magnitudes and an
// untouched one.
class Twin : public MergeVersions {
 protected:
  void SetUp() override {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::uint64_t count, float scale) {
      std::vector<float> values(count);
      for (float& value : values) value = scale * normal(random);
      return values;
    };
    for (const auto& [name, count, scale] :
         {std::tuple{"a", 300U, 1.0F}, {"b", 77U, 1e-3F}, {"c", 1000U, 30.0F}}) {
      base_[name] = {{count}, draw(count, scale)};
      ours_[name] = theirs_[name] = base_[name];
      const std::vector<float> one = draw(count, scale * 0.1F);
      const std::vector<float> other = draw(count, scale * 0.1F);
      for (std::size_t j = 0; j < count; ++j) {
        ours_[name].values[j] += one[j];
        theirs_[name].values[j] += other[j];
      }
    }
    base_["same"] = ours_["same"] = theirs_["same"] = {{3}, {1, 2, 3}};
  }

  using Formula = std::function<double(double base, double ours, double theirs)>;

  void expect(const std::string& strategy, const Formula& formula) {
    const MergedVersion merged =
        merge(disk.keep(base_), disk.keep(ours_), disk.keep(theirs_), strategy);
    ASSERT_TRUE(merged.conflicts.empty());
    EXPECT_EQ(merged.mixed.size(), strategy == "base" ? 0U : 3U);
    const Model model = restored(merged);
    EXPECT_EQ(model.at("same").values, base_.at("same").values);
    for (const auto& [name, numbers] : model)
      for (std::size_t j = 0; j < numbers.values.size(); ++j) {
        const double exact =
            formula(base_[name].values[j], ours_[name].values[j], theirs_[name].values[j]);
        // Task vectors are rounded to f32 once, the result once more.
        const double tolerance = 4e-7 * (std::abs(exact) + std::abs(base_[name].values[j]));
        ASSERT_NEAR(numbers.values[j], exact, tolerance) << strategy << " " << name << j;
      }
  }

  Model base_, ours_, theirs_;
};

TEST_F(Twin, OfAverage) {
  expect("average", [](double, double x, double y) { return (x + y) / 2; });
  expect("average:0.9", [](double, double x, double y) { return 0.9 * x + 0.1 * y; });
}

TEST_F(Twin, OfTask) {
  expect("task", [](double b, double x, double y) { return b + (x - b) + (y - b); });
  expect("task:0.4", [](double b, double x, double y) { return b + 0.4 * ((x - b) + (y - b)); });
}

TEST_F(Twin, OfTies) {
  // The threshold of a task vector: its floor(k n)-th largest entry over all tensors that changed.
  const auto threshold = [&](const Model& model, double k) {
    std::vector<float> sizes;
    for (const auto& [name, numbers] : model)
      for (std::size_t j = 0; name != "same" && j < numbers.values.size(); ++j)
        sizes.push_back(std::abs(numbers.values[j] - base_.at(name).values[j]));
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    return static_cast<double>(
        sizes[static_cast<std::size_t>(k * static_cast<double>(sizes.size())) - 1]);
  };
  const double k = 0.3;
  const double of_ours = threshold(ours_, k);
  const double of_theirs = threshold(theirs_, k);

  expect("ties:0.3,0.8", [&](double b, double x, double y) {
    double p = static_cast<float>(x - b);
    double q = static_cast<float>(y - b);
    if (std::abs(p) < of_ours) p = 0;
    if (std::abs(q) < of_theirs) q = 0;
    const double sum = p + q;
    double total = 0;
    int agreeing = 0;
    for (const double tau : {p, q})
      if (tau * sum > 0) total += tau, ++agreeing;
    return b + 0.8 * (agreeing == 0 ? 0 : total / agreeing);
  });
}

TEST_F(Twin, OfTakingASide) {
  const Manifest base = disk.keep(base_);
  const Manifest ours = disk.keep(ours_);
  const Manifest theirs = disk.keep(theirs_);

  EXPECT_EQ(merge(base, ours, theirs, "ours").result.manifest, ours);
  EXPECT_EQ(merge(base, ours, theirs, "theirs").result.manifest, theirs);
  EXPECT_EQ(merge(base, ours, theirs, "base").result.manifest.tensors, base.tensors);
}

TEST_F(Twin, GivesTheSameBytesForAnyNumberOfThreads) {
  const Ancestor base{disk.keep(base_)};
  const Manifest ours = disk.keep(ours_);
  const Manifest theirs = disk.keep(theirs_);
  for (const char* text : {"average:0.3", "task:0.7", "ties:0.4"}) {
    const Strategy strategy = *versions::parse_strategy(text);
    const auto one = merge_versions(disk.store(), {base, ours, theirs}, strategy, {.threads = 1});
    const auto four = merge_versions(disk.store(), {base, ours, theirs}, strategy, {.threads = 4});
    EXPECT_EQ(to_text(one->result), to_text(four->result));
  }
}

TEST_F(MergeVersions, MixesHalfPrecision) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f64}) {
    const auto model = [&](double x, double y) {
      std::vector<std::byte> bytes(2 * checkpoint::item_bytes(dtype));
      const std::vector<double> values = {x, y};
      merge::narrow(dtype, values, 0, bytes.data());
      return disk.keep(disk.write({test::view("w", dtype, {2}, bytes)}));
    };

    const MergedVersion merged = merge(model(0, 0), model(1, 3), model(2, -1), "average");

    EXPECT_EQ(merged.result.manifest.tensors, model(1.5, 1).tensors) << checkpoint::name(dtype);
  }
}

TEST_F(MergeVersions, LeavesNumbersThatCannotBeComputedWithToPeople) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Manifest base = disk.keep({{"w", {{2}, {0, 0}}}});
  const Manifest ours = disk.keep({{"w", {{2}, {1, nan}}}});
  const Manifest theirs = disk.keep({{"w", {{2}, {1, 2}}}});

  const MergedVersion merged = merge(base, ours, theirs, "average");

  ASSERT_EQ(merged.conflicts.size(), 1U);
  EXPECT_NE(merged.conflicts[0].reason.find("NaN"), std::string::npos)
      << merged.conflicts[0].reason;
  EXPECT_EQ(merge(base, ours, theirs, "theirs").result.manifest, theirs);
}

TEST_F(MergeVersions, ANumberThatCannotBeComputedWithConcernsItsTensorAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Manifest base = disk.keep({{"good", {{1}, {0}}}, {"w", {{1}, {0}}}, {"x", {{1}, {0}}}});
  const Manifest ours = disk.keep({{"good", {{1}, {1}}}, {"w", {{1}, {nan}}}, {"x", {{1}, {4}}}});
  const Manifest theirs = disk.keep({{"good", {{1}, {2}}}, {"w", {{1}, {2}}}, {"x", {{1}, {6}}}});

  for (const char* strategy : {"average", "task"}) {
    const MergedVersion merged = merge(base, ours, theirs, strategy);

    ASSERT_EQ(merged.conflicts.size(), 1U) << strategy;
    EXPECT_EQ(merged.conflicts[0].what, "tensor w");
  }
  EXPECT_EQ(merge(base, ours, theirs, "ties").conflicts[0].what, "tensors that both changed");
}

TEST_F(MergeVersions, JoinsMetadataKeyByKey) {
  const Model model = {{"w", {{1}, {0}}}};
  const Manifest base = disk.keep(model, {{"a", "1"}, {"b", "1"}, {"c", "1"}});
  const Manifest ours = disk.keep(model, {{"a", "2"}, {"b", "1"}, {"d", "ours"}});
  const Manifest theirs = disk.keep(model, {{"a", "1"}, {"b", "3"}, {"c", "1"}, {"e", "theirs"}});

  const MergedVersion merged = merge(base, ours, theirs, "fail");

  ASSERT_TRUE(merged.conflicts.empty());
  EXPECT_EQ(*versions::Source(disk.store(), merged.result.manifest).metadata(),
            (checkpoint::Metadata{{"a", "2"}, {"b", "3"}, {"d", "ours"}, {"e", "theirs"}}));
  EXPECT_EQ(restored(merged).at("w").values[0], 0);
}

TEST_F(MergeVersions, TakesOrLeavesOpaqueFilesAsAWhole) {
  const auto opaque = [&](const char* text) {
    const Path path = disk.folder() / text;
    EXPECT_TRUE(real_files().write_whole(path, text));
    return disk.keep(path);
  };
  const Manifest a = opaque("a");
  const Manifest b = opaque("b");
  const Manifest c = opaque("c");
  ASSERT_TRUE(a.opaque());

  EXPECT_EQ(merge(a, a, b, "fail").result.manifest, b);
  EXPECT_EQ(merge(a, b, a, "fail").result.manifest, b);
  EXPECT_EQ(merge(a, b, c, "theirs").result.manifest, c);
  EXPECT_EQ(merge(a, b, c, "fail").conflicts.size(), 1U);
  EXPECT_EQ(merge(a, b, c, "average").conflicts.size(), 1U);
  EXPECT_EQ(merge(Manifest{}, b, c, "theirs").conflicts.size(), 1U) << "added by both";
}

TEST_F(MergeVersions, AddedByBothNeedsNoAncestor) {
  const Manifest ours = disk.keep({{"a", {{1}, {1}}}, {"w", {{1}, {1}}}});
  const Manifest theirs = disk.keep({{"b", {{1}, {2}}}, {"w", {{1}, {1}}}});

  const MergedVersion merged = merge(Manifest{}, ours, theirs, "fail");

  EXPECT_TRUE(merged.conflicts.empty());
  EXPECT_EQ(restored(merged).size(), 3U);
}

TEST_F(MergeVersions, ConflictsOfAncestorsStayConflictsWhereTheSidesDiffer) {
  const auto model = [&](float v, float w) {
    return disk.keep({{"v", {{1}, {v}}}, {"w", {{1}, {w}}}});
  };
  const MergedVersion inner = merge(model(0, 0), model(0, 1), model(5, 2), "fail", true);
  ASSERT_EQ(inner.conflicts.size(), 1U);
  const Result<Ancestor> base = versions::parse_ancestor(to_text(inner.result));
  ASSERT_TRUE(base) << base.error().describe();
  EXPECT_EQ(*base, inner.result);

  // The ancestor holds w = 1, as ours does: not a reason to take theirs.
  EXPECT_EQ(merge(*base, model(5, 1), model(5, 2), "fail").conflicts.size(), 1U);
  EXPECT_EQ(merge(*base, model(5, 1), model(5, 2), "average").conflicts.size(), 1U);
  EXPECT_EQ(merge(*base, model(5, 7), model(6, 7), "fail").result.manifest, model(6, 7));
}

TEST(Ancestors, AreRefusedUnlessTheyAreWhole) {
  const std::string manifest = to_text(Manifest{.file = {std::string(64, 'a')}, .size = 3});
  const std::string names = R"(ration-conflict {"metadata":[],"tensors":["w"]})";
  ASSERT_TRUE(versions::parse_ancestor(manifest));
  ASSERT_TRUE(versions::parse_ancestor(names + "\n" + manifest));
  for (const std::string& bad : {std::string(),
                                 names,
                                 names + "\n",
                                 names + manifest,
                                 "ration-conflict {}\n" + manifest,
                                 "ration-conflict []\n" + manifest,
                                 "ration-conflict {\n" + manifest,
                                 R"(ration-conflict {"metadata":[],"tensors":[1]})"
                                 "\n" +
                                     manifest,
                                 names + "\n" + manifest.substr(0, manifest.size() - 1)})
    EXPECT_FALSE(versions::parse_ancestor(bad)) << bad;
}

TEST_F(MergeVersions, SaysWhichObjectIsMissing) {
  const Manifest base = disk.keep({{"w", {{1}, {0}}}, {"v", {{1}, {8}}}});
  const Manifest ours = disk.keep({{"w", {{1}, {1}}}, {"v", {{1}, {8}}}});
  const Manifest theirs = disk.keep({{"w", {{1}, {0}}}, {"v", {{1}, {9}}}});
  const auto& lost = theirs.find("v")->id;
  ASSERT_TRUE(real_files().remove_all(disk.store().path_of(lost)));

  const auto merged = merge_versions(disk.store(), {Ancestor{base}, ours, theirs}, {}, {});

  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, ErrorKind::input);
  EXPECT_NE(merged.error().what.find(lost.hex), std::string::npos);
}

}  // namespace
}  // namespace ration
