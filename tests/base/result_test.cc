#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace ration {
namespace {

Error missing() { return {.kind = ErrorKind::resource, .what = "no disk", .hint = "plug one in"}; }

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = 7;
  const Result<int> bad = missing();

  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 7);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().what, "no disk");
  EXPECT_EQ(bad.value_or(3), 3);
  EXPECT_EQ(good.value_or(3), 7);
}

TEST(Result, PassesValuesThatCannotBeCopied) {
  Result<std::unique_ptr<int>> box = std::make_unique<int>(5);

  const std::unique_ptr<int> taken = *std::move(box);

  EXPECT_EQ(*taken, 5);
}

TEST(Result, OfNothingIsGoodUnlessAnErrorIsGiven) {
  EXPECT_TRUE(Result<void>());
  EXPECT_FALSE(Result<void>(missing()));
}

TEST(Result, ThrowsOnlyWhenTheCallerAsksForWhatIsNotThere) {
  const Result<int> bad = missing();

  EXPECT_THROW(static_cast<void>(bad.value()), std::bad_variant_access);
}

TEST(Error, KindDecidesTheExitCode) {
  EXPECT_EQ(exit_code(ErrorKind::usage), 2);
  EXPECT_EQ(exit_code(ErrorKind::input), 2);
  EXPECT_EQ(exit_code(ErrorKind::resource), 3);
  EXPECT_EQ(exit_code(ErrorKind::untrusted), 4);
  EXPECT_EQ(exit_code(ErrorKind::interrupted), 5);
  EXPECT_EQ(exit_code(ErrorKind::internal), 70);
}

TEST(Error, DescribesWhatWhereAndWhatToDo) {
  const Error error{
      .kind = ErrorKind::usage,
      .what = "unknown setting \"widht\"",
      .hint = "did you mean \"width\"?",
      .where = SourceRef{.file = "s.toml", .line = 4, .column = 3, .line_text = "  widht = 64"}};

  EXPECT_EQ(error.describe(),
            "error: unknown setting \"widht\"\n"
            "  --> s.toml:4:3\n"
            "   |   widht = 64\n"
            "   |   ^\n"
            "help: did you mean \"width\"?\n");
}

TEST(Error, DescribesEveryCause) {
  const Error error =
      combine({missing(), {.kind = ErrorKind::usage, .what = "no name"}}, "2 problems");

  EXPECT_EQ(error.kind, ErrorKind::resource);
  EXPECT_EQ(error.describe(),
            "error: 2 problems\n"
            "error: no disk\n"
            "help: plug one in\n"
            "error: no name\n");
}

TEST(Error, OfOneProblemNeedsNoSummary) {
  EXPECT_EQ(combine({missing()}, "1 problem").what, "no disk");
}

TEST(Error, TakesContextInFront) {
  EXPECT_EQ(missing().with_context("while starting").what, "while starting: no disk");
}

}  // namespace
}  // namespace ration
