#include "git/difference_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::git {
namespace {

using checkpoint::DType;
using testing::HasSubstr;
using testing::Not;
using versions::Change;
using versions::Difference;
using versions::ManifestTensor;
using versions::TensorChange;

ManifestTensor tensor(DType dtype, std::vector<std::uint64_t> shape) {
  return {.name = "w", .dtype = dtype, .shape = std::move(shape), .id = {}, .bytes = 0};
}

TensorChange modified(DType dtype, versions::Movement movement) {
  return {.name = "w",
          .change = Change::modified,
          .before = tensor(dtype, {4}),
          .after = tensor(dtype, {4}),
          .movement = movement};
}

Difference of(std::vector<TensorChange> changes) {
  Difference difference{.tensors = std::move(changes)};
  difference.file_changed = true;
  return difference;
}

TEST(DifferenceText, SaysNothingOfNothing) { EXPECT_EQ(difference_table({}), ""); }

TEST(DifferenceText, ShowsWhatIsKnownOfADtype) {
  const versions::Movement moved{.elements = 4, .tally = {.changed = 1, .largest = 3}};

  EXPECT_THAT(difference_table(of({modified(DType::f8_e4m3, moved)})),
              HasSubstr("w       modified  F8_E4M3      4     25 %              -       -"
                        "            -     -\n"));
  const Json whole = to_json(of({modified(DType::i32, moved)}))["tensors"][0];
  EXPECT_EQ(whole["max_delta"], 3);
  EXPECT_FALSE(whole.contains("relative"));
  EXPECT_FALSE(to_json(of({modified(DType::boolean, moved)}))["tensors"][0].contains("max_delta"));
}

TEST(DifferenceText, HasColumnsForNaNAndInfinityWhereThereAreAny) {
  const versions::Movement clean{.elements = 4, .tally = {.changed = 1}};
  versions::Movement sick = clean;
  sick.tally.new_nan = 2;

  EXPECT_THAT(difference_table(of({modified(DType::f32, clean)})), Not(HasSubstr("NaN")));
  EXPECT_THAT(difference_table(of({modified(DType::f32, sick)})), HasSubstr("0 -> 2"));
  EXPECT_THAT(difference_table(of({modified(DType::f32, sick)})), Not(HasSubstr("Inf")));
}

TEST(DifferenceText, InfiniteMovementIsNullInJson) {
  versions::Movement from_zero{.elements = 4, .tally = {.changed = 4, .delta_squares = 1}};

  const Difference difference = of({modified(DType::f32, from_zero)});

  EXPECT_THAT(difference_table(difference), HasSubstr("inf"));
  EXPECT_THAT(to_json(difference).dump(), HasSubstr("\"relative\":null"));
}

TEST(DifferenceText, ShowsBothSidesOfDtypesAndShapes) {
  const TensorChange dtype{.name = "d",
                           .change = Change::dtype,
                           .before = tensor(DType::f32, {}),
                           .after = tensor(DType::bf16, {})};
  const TensorChange shape{.name = "s",
                           .change = Change::shape,
                           .before = tensor(DType::f32, {2, 3}),
                           .after = tensor(DType::f32, {6})};

  const std::string table = difference_table(of({dtype, shape}));

  EXPECT_THAT(table, HasSubstr("d       dtype changed  F32 -> BF16  scalar\n"));
  EXPECT_THAT(table, HasSubstr("2x3 -> 6\n"));
}

TEST(DifferenceText, NamesChangesOfTheHeaderAlone) {
  Difference difference = of({});
  EXPECT_THAT(difference_table(difference), HasSubstr("only the layout of the file changed"));
  difference.metadata.push_back({.key = "step", .before = "1", .after = "a\x1b[2J"});

  const std::string table = difference_table(difference);

  EXPECT_THAT(table, HasSubstr("metadata step: \"1\" -> "));
  EXPECT_THAT(table, Not(HasSubstr("\x1b"))) << "what a file says cannot clear the screen";
}

}  // namespace
}  // namespace ration::git
