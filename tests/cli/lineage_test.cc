#include "cli/lineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/folder.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::cli {
namespace {

using testing::HasSubstr;

class Lineage : public testing::Test {
 protected:
  // The folder of a run of these settings.
  std::string add(const run::RunSpec& spec) {
    run::RunFolder folder(real_files(), store_ / run::run_id(spec));
    EXPECT_TRUE(folder.create(spec, {}));
    return folder.path().string();
  }
  static run::RunSpec tuned_from(const run::RunSpec& parent, std::int64_t seed) {
    run::RunSpec spec = parent;
    spec.init = "run:" + run::run_id(parent);
    spec.seed = seed;
    return spec;
  }
  std::string refusal(const std::optional<std::string>& base,
                      const std::vector<std::string>& models) {
    const Result<void> checked = check_lineage(real_files(), base, models);
    if (checked) return {};
    EXPECT_EQ(checked.error().kind, ErrorKind::input);
    return checked.error().describe();
  }

  test::TemporaryFolder store_;
  run::RunSpec base_ = test::small_spec(8);
};

TEST_F(Lineage, OfModelsThatBeganWithTheBaseIsFine) {
  const run::RunSpec one = tuned_from(base_, 1), two = tuned_from(one, 2);

  EXPECT_EQ(refusal(add(base_), {add(one), add(two) + "/attempt-1/checkpoint-8"}), "");
}

TEST_F(Lineage, TellsASiblingFromTheBase) {
  const std::string base = add(base_), one = add(tuned_from(base_, 1)),
                    two = add(tuned_from(base_, 2));

  EXPECT_THAT(refusal(one, {two}),
              HasSubstr(two + " did not begin with the base " + one + ", but with drawn weights"));
  EXPECT_EQ(refusal(std::nullopt, {one, two, base}), "");
}

TEST_F(Lineage, RefusesModelsOfEqualShapesThatAreOtherFunctions) {
  run::RunSpec other = tuned_from(base_, 1);
  other.rope_base = 500;

  EXPECT_THAT(refusal(std::nullopt, {add(base_), add(other)}),
              HasSubstr("are models of two kinds: rope_base ("));
}

TEST_F(Lineage, SaysNothingOfFilesThatNoRunMade) {
  const run::RunSpec from_file = [&] {
    run::RunSpec spec = base_;
    spec.init = "sha256:" + std::string(64, 'a');
    return spec;
  }();

  EXPECT_EQ(refusal("elsewhere.safetensors", {add(base_)}), "");
  EXPECT_EQ(refusal(add(base_), {"elsewhere.safetensors", add(from_file)}), "");
}

}  // namespace
}  // namespace ration::cli
