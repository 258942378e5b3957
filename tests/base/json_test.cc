#include "base/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "base/random.h"

namespace ration {
namespace {

std::string canonical(const Json& value) { return canonical_json(value).value(); }

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(CanonicalJson, SortsKeysAndLeavesBlanksOut) {
  const Json value = {{"b", {1, true, nullptr}}, {"a", {{"z", "text"}, {"Z", 1}}}, {"B", ""}};

  EXPECT_EQ(canonical(value), R"({"B":"","a":{"Z":1,"z":"text"},"b":[1,true,null]})");
}

TEST(CanonicalJson, WritesWholeNumbersAsIntegersWhateverTheirType) {
  EXPECT_EQ(canonical(1e6), "1000000");
  EXPECT_EQ(canonical(1000000), "1000000");
  EXPECT_EQ(canonical(-3.0), "-3");
  EXPECT_EQ(canonical(0x1p53 - 1), "9007199254740991");
  EXPECT_EQ(canonical(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(canonical(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
}

TEST(CanonicalJson, WritesNegativeZeroAsZero) { EXPECT_EQ(canonical(-0.0), "0"); }

TEST(CanonicalJson, WritesTheShortestDecimalOfADouble) {
  EXPECT_EQ(canonical(0.1), "0.1");
  EXPECT_EQ(canonical(3e-3), "0.003");
  EXPECT_EQ(canonical(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(canonical(5e-324), "5e-324");
  EXPECT_EQ(canonical(1e300), "1e+300");
  EXPECT_EQ(canonical(312514128501495616.0), "312514128501495616");
}

TEST(CanonicalJson, EscapesTextAsJsonDoes) {
  EXPECT_EQ(canonical("a\"b\\c\n\x01"), R"("a\"b\\c\n\u0001")");
  EXPECT_EQ(canonical("ü"), "\"ü\"");
}

TEST(CanonicalJson, RefusesWhatJsonCannotHold) {
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const Result<std::string> text = canonical_json(Json{{"list", {1, value}}});

    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().kind, ErrorKind::input);
  }
  EXPECT_FALSE(canonical_json(Json::binary({1, 2})));
}

// Any bit pattern that is a finite double. That no decimal with fewer digits reads back the same is
// the C library's word.
TEST(CanonicalJson, RoundTripsRandomDoublesInTheFewestDigits) {
  Stream stream(1, StreamId::starts);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(stream.next());
    if (!std::isfinite(value)) continue;

    const std::string text = canonical(value);

    ASSERT_EQ(parse_json(text, "text").value().get<double>(), value) << text;
    const std::string mantissa = text.substr(0, text.find('e'));
    if (text.find_first_of(".e") == std::string::npos) continue;  // plain, as long as it may be
    std::string digits;
    for (const char c : mantissa)
      if (c >= '0' && c <= '9' && !(digits.empty() && c == '0')) digits += c;
    while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
    if (digits.size() < 2) continue;
    char shorter[64];
    std::snprintf(shorter, sizeof shorter, "%.*e", static_cast<int>(digits.size()) - 2, value);
    ASSERT_NE(std::strtod(shorter, nullptr), value) << text << " could be " << shorter;
  }
}

TEST(ParseJson, NamesFileLineAndColumnOfAMistake) {
  const Result<Json> json = parse_json("{\n  \"a\": 1,\n  \"b\": oops\n}", "run.json");

  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().kind, ErrorKind::input);
  ASSERT_TRUE(json.error().where);
  EXPECT_EQ(json.error().where->file, "run.json");
  EXPECT_EQ(json.error().where->line, 3);
  EXPECT_EQ(json.error().where->column, 8);
  EXPECT_EQ(json.error().where->line_text, "  \"b\": oops");
}

TEST(ParseJson, PointsBehindTextThatEndsTooEarly) {
  const Result<Json> json = parse_json("{\"a\": [1, 2", "cut.json");

  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().where->line, 1);
  EXPECT_EQ(json.error().where->column, 12);
}

TEST(ParseJson, SaysWhereInAVeryLongLineWithoutPrintingIt) {
  const std::string long_line = "[" + std::string(100'000, ' ') + "?]";
  const Result<Json> json = parse_json(long_line, "long.json");

  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().where->column, 100'002);
  EXPECT_LT(json.error().describe().size(), 1000U);
}

TEST(ParseJson, RefusesEmptyTextAndSecondDocuments) {
  for (const char* text : {"", "  ", "{} {}", "1 2", "nul", "\xff"})
    EXPECT_FALSE(parse_json(text, "file")) << text;
}

TEST(ParseJson, RefusesNumbersThatNoDoubleHolds) {
  const Result<Json> json = parse_json("{\"lr\": 1e999}", "run.json");

  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().where->file, "run.json");
}

TEST(ParseJson, RefusesNestingBeyondItsLimit) {
  EXPECT_TRUE(parse_json(nested(64), "deep.json"));

  for (const std::size_t levels : {std::size_t{65}, std::size_t{100'000}}) {
    const Result<Json> json = parse_json(nested(levels), "deep.json");

    ASSERT_FALSE(json) << levels;
    EXPECT_EQ(json.error().kind, ErrorKind::input);
  }
}

}  // namespace
}  // namespace ration
