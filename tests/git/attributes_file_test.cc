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

}  // namespace
}  // namespace ration::git
