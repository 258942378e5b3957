#include "git/attributes_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::git {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kOurs = " filter=ration merge=ration diff=ration -text\n";

TEST(AttributesFile, APatternIsAddedOnceBehindWhatIsThere) {
  const std::string before = "# ours\n*.txt text";
  const std::string once = with_pattern(before, "*.safetensors").value();

  EXPECT_EQ(once, before + "\n*.safetensors" + std::string(kOurs));
  EXPECT_EQ(with_pattern(once, "*.safetensors").value(), once);
}

TEST(AttributesFile, PatternsAreFoundHoweverTheirLinesAreWritten) {
  EXPECT_THAT(
      tracked_patterns("#a filter=ration\n  *.a\tdiff=x  filter=ration\r\n\n*.b filter=lfs\n"
                       "\"with blank\" filter=ration\n*.c filter=rations\nlast filter=ration"),
      ElementsAre("*.a", "with blank", "last"));
  EXPECT_THAT(tracked_patterns(""), IsEmpty());
  EXPECT_THAT(tracked_patterns("\"never closed filter=ration"), IsEmpty());
}

TEST(AttributesFile, BlanksAndQuotesInAPatternComeBack) {
  for (const char* pattern : {"my models/*.st", "a\"b", "back\\slash", "#hash", "tab\there"}) {
    const std::string text = with_pattern("", pattern).value();

    EXPECT_THAT(tracked_patterns(text), ElementsAre(pattern)) << text;
    EXPECT_EQ(without_pattern(text, pattern), "");
  }
}

TEST(AttributesFile, RemovingAPatternLeavesAllOtherLines) {
  EXPECT_EQ(
      without_pattern("a filter=ration\r\n# b filter=ration\nb filter=ration -text\nb text", "b"),
      "a filter=ration\r\n# b filter=ration\nb text");
}

TEST(AttributesFile, WhatIsNoPatternIsRefused) {
  for (const char* pattern : {"", "!a", "two\nlines"}) {
    const Result<std::string> text = with_pattern("", pattern);
    ASSERT_FALSE(text) << pattern;
    EXPECT_EQ(text.error().kind, ErrorKind::usage);
  }
}

TEST(AttributesFile, LinesOfGitLfsGoAndTheirOtherAttributesStay) {
  const std::string lfs = " filter=lfs diff=lfs merge=lfs -text";

  EXPECT_EQ(without_lfs("# a\n*.bin" + lfs + "\n*.png" + lfs + "\n", "*.bin"),
            "# a\n*.png" + lfs + "\n");
  EXPECT_EQ(without_lfs("*.bin" + lfs + " lockable\n", "*.bin"), "*.bin lockable\n");
  EXPECT_EQ(without_lfs("*.bin  filter=lfs", "*.bin"), "");
  EXPECT_EQ(without_lfs("a[[:space:]]b.bin" + lfs + "\n", "a b.bin"), "");
  EXPECT_EQ(without_lfs("*.bin -text\n*.bin filter=other\n", "*.bin"),
            "*.bin -text\n*.bin filter=other\n");
}

TEST(AttributesFile, AnImportAddsItsLinesAtTheTop) {
  const std::string line = " filter=ration merge=ration diff=ration -text\n";

  EXPECT_EQ(*imported_attributes("", "", {"*.bin", "m/*.pt"}), "*.bin" + line + "m/*.pt" + line);
  EXPECT_EQ(*imported_attributes("*.bin filter=lfs -text\n", "", {"*.bin"}), "*.bin" + line);
}

TEST(AttributesFile, BelowTheTopAnImportAddsLinesWhereOthersWouldWin) {
  const std::string line = " filter=ration merge=ration diff=ration -text\n";
  const std::vector<std::string> patterns = {"*.bin", "m/*.pt", "n/*.pt", "**/x"};

  EXPECT_EQ(*imported_attributes("*.txt text\n", "m/", patterns), "*.txt text\n");
  EXPECT_EQ(*imported_attributes("* -filter\n", "m/", patterns),
            "* -filter\n*.bin" + line + "/*.pt" + line + "**/x" + line);
}

}  // namespace
}  // namespace ration::git
