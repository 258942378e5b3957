#include "study/merge/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "study/merge/method.h"
#include "study/merge/world.h"
#include "support/temporary_folder.h"

namespace ration::study {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

void write_tensor(const Path& file, const std::vector<float>& values) {
  EXPECT_TRUE(checkpoint::write_safetensors(real_files(),
                                            file,
                                            {{.name = "w",
                                              .dtype = checkpoint::DType::f32,
                                              .shape = {values.size()},
                                              .bytes = std::as_bytes(std::span(values))}}));
}

class FisherFiles : public testing::Test {
 protected:
  FisherFiles() {
    for (const auto& [name, values] :
         std::map<std::string, std::vector<float>>{{"c0/0", {0, 4}}, {"c1/0", {4, 0}}}) {
      const Path file = folder_ / (name.substr(0, 2) + ".safetensors");
      write_tensor(file, values);
      models_.files[name] = file.string();
      models_.weights[name] =
          run::Weights{.run = {}, .step = 0, .sha256 = sha256_hex(real_files().read(file).value())};
    }
  }

  // The first model cares about its first number three times as much as the second does.
  Result<MergedFile> merge(const Json& members = Json::object()) {
    const Path store = folder_ / "store", folder = folder_ / "made";
    const MergeToFile make = merge_by_fisher(
        models_, real_files(), store, folder, [&](const Path& model, const Path& data, auto& file) {
          measured_.push_back(data.string());
          write_tensor(file,
                       model.filename() == "c0.safetensors" ? std::vector<float>{3, 1}
                                                            : std::vector<float>{1, 1});
          return Result<void>();
        });
    return make(merge_recipe("fisher", members, "base", {"c0/0", "c1/0"}));
  }

  ration::test::TemporaryFolder folder_;
  MergeModels models_ = test::made_up_models(2, 1);
  std::vector<std::string> measured_;
};

TEST_F(FisherFiles, WeighEachNumberByWhoCaresAboutIt) {
  models_.windows[1].all.data = "/c1";

  const Result<MergedFile> merged = merge({{"floor", 0.0}});

  ASSERT_TRUE(merged) << merged.error().describe();
  const auto tensors = checkpoint::Checkpoint::open(real_files(), merged->path).value();
  std::vector<float> values(2);
  std::memcpy(values.data(), tensors.bytes(*tensors.find("w")).data(), 8);
  EXPECT_THAT(values, ElementsAre(FloatEq(1), FloatEq(2))) << "(3 * 0 + 1 * 4) / 4 and the mean";
  EXPECT_EQ(merged->sha256, sha256_hex(real_files().read(merged->path).value()));
  EXPECT_EQ(measured_.back(), "/c1") << "each model on its own corpus";
}

TEST_F(FisherFiles, AreNotMadeTwiceAndNotTakenForThoseOfOtherWeights) {
  const Path first = merge().value().path;
  EXPECT_EQ(measured_.size(), 2U);

  EXPECT_EQ(merge().value().path, first);
  EXPECT_EQ(measured_.size(), 2U);

  write_tensor(models_.files["c0/0"], {8, 8});
  models_.weights["c0/0"].sha256 = std::string(64, '1');
  EXPECT_NE(merge().value().path, first);
  EXPECT_EQ(measured_.size(), 3U);
}

}  // namespace
}  // namespace ration::study
