#include "import/number.h"

#include <gmock/gmock.h>

#include <cmath>

namespace ration::import {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(WrittenNumbers, AreReadAsPeopleWriteThem) {
  const std::vector<std::pair<std::string, double>> written = {{"2.8e9", 2.8e9},
                                                               {"2b8", 2.8e9},
                                                               {"2.8B", 2.8e9},
                                                               {"1b25", 1.25e9},
                                                               {"146m", 146e6},
                                                               {"125M", 125e6},
                                                               {"55 billion", 55e9},
                                                               {"7 G", 7e9},
                                                               {"300k", 300e3},
                                                               {"1.4T", 1.4e12},
                                                               {"1,300,000", 1.3e6},
                                                               {" +5 ", 5},
                                                               {"-3", -3}};
  for (const auto& [text, value] : written) {
    const auto number = parse_written(text);
    ASSERT_TRUE(number) << text;
    EXPECT_EQ(number->value, value) << text;  // the nearest double, so that 2b8 and 2.8e9 are one
  }
  EXPECT_TRUE(parse_written("125M")->with_unit);
  EXPECT_FALSE(parse_written("125e6")->with_unit);
  EXPECT_TRUE(std::isnan(parse_written("nan")->value));
  EXPECT_TRUE(std::isinf(parse_written("-inf")->value));
}

TEST(WrittenNumbers, AreNothingElse) {
  for (const char* text :
       {"", "lm1", "b8", "2x8", "2b8b", "2.8b8", "12%", "1,30", "1,,300", "5 apples"})
    EXPECT_FALSE(parse_written(text)) << text;
}

TEST(NamePatterns, ReadTheCountsOutOfARunsName) {
  const NamePattern pattern = NamePattern::parse("{params}-{tokens}-{unique}").value();

  EXPECT_THAT(pattern.read("lm1-2b8-55b-5b").value(),
              ElementsAre(Pair("params", 2.8e9), Pair("tokens", 55e9), Pair("unique", 5e9)));
  EXPECT_THAT(pattern.read("146m-14b-7b").value(),
              ElementsAre(Pair("params", 146e6), Pair("tokens", 14e9), Pair("unique", 7e9)));
  EXPECT_FALSE(pattern.read("lm1-2b8-55b"));
  EXPECT_FALSE(pattern.read("baseline"));
}

TEST(NamePatterns, KnowLiteralTextAndWildCards) {
  const NamePattern pattern = NamePattern::parse("n{params}_{*}_{epochs}ep").value();

  EXPECT_THAT(pattern.read("sweep/n125M_seed3_lr_4ep").value(),
              ElementsAre(Pair("params", 125e6), Pair("epochs", 4)));
  EXPECT_FALSE(pattern.read("n125M_seed3_4epochs")) << "the pattern ends inside a word";
}

TEST(NamePatterns, SayWhatIsWrongWithThem) {
  const auto problem = [](const char* text) {
    const Result<NamePattern> pattern = NamePattern::parse(text);
    return pattern ? std::string("none") : pattern.error().what;
  };
  EXPECT_THAT(problem("{parms}"), HasSubstr("did you mean \"params\""));
  EXPECT_THAT(problem("{params}-{params}"), HasSubstr("twice"));
  EXPECT_THAT(problem("{params"), HasSubstr("not closed"));
  EXPECT_THAT(problem("run-{*}"), HasSubstr("no field"));
}

}  // namespace
}  // namespace ration::import
