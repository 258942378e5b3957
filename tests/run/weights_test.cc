#include "run/weights.h"

#include <gmock/gmock.h>

namespace ration::run {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kId = "0123456789abcdef0123456789abcdef";

RunSpec fine_tuning() {
  RunSpec spec;
  spec.tokens = 4096;
  spec.init = "run:" + kId;
  return resolve(spec);
}

std::string first_problem(const RunSpec& spec) {
  const std::vector<Error> problems = check_weights(spec);
  return problems.empty() ? "" : problems.front().what;
}

TEST(Weights, AreReadAndWrittenAlike) {
  for (const std::string& words : {"run:" + kId, "run:" + kId + "@400", "sha256:" + kId + kId}) {
    const Result<Weights> weights = parse_weights(words);

    ASSERT_TRUE(weights) << weights.error().describe();
    EXPECT_EQ(text(*weights), words);
  }
}

TEST(Weights, OfOtherWordsAreRefused) {
  for (const std::string& words : {std::string("run:abc"),
                                   "run:" + kId + "@0",
                                   "run:" + kId + "@",
                                   "run:" + kId + "@4x",
                                   "sha256:" + kId,
                                   std::string("file:model.safetensors"),
                                   std::string("")})
    EXPECT_FALSE(parse_weights(words)) << words;
}

TEST(Weights, AreNoPartOfRunsThatDrawThem) {
  RunSpec spec;
  spec.tokens = 4096;
  spec = resolve(spec);

  EXPECT_THAT(check_weights(spec), IsEmpty());
  EXPECT_FALSE(to_json(spec).contains("init"));
  EXPECT_NE(run_id(spec), run_id(fine_tuning()));
}

TEST(Weights, TuningAPartNeedsTheRest) {
  RunSpec spec = fine_tuning();
  spec.tune = "norms";
  EXPECT_THAT(check_weights(spec), IsEmpty());

  spec.init.clear();

  EXPECT_THAT(first_problem(spec), HasSubstr("without init"));
}

TEST(Weights, TheHeadOfATiedModelCannotBeTunedAlone) {
  RunSpec spec = fine_tuning();
  spec.tune = "head";

  EXPECT_THAT(first_problem(spec), HasSubstr("tied"));
  spec.tied = false;
  EXPECT_THAT(check_weights(spec), IsEmpty());
}

TEST(Weights, OnlyPointsTrainNothing) {
  RunSpec spec = fine_tuning();
  spec.tokens = 0;
  EXPECT_THAT(first_problem(spec), HasSubstr("trains nothing"));

  spec.init.clear();
  spec.points = "sha256:" + kId + kId;
  EXPECT_THAT(check_weights(spec), IsEmpty());

  spec.tokens = 64;
  EXPECT_THAT(first_problem(spec), HasSubstr("without training"));
}

}  // namespace
}  // namespace ration::run
