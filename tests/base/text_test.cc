#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace ration {
namespace {

double parsed(std::string_view text, std::string_view unit) {
  const Result<double> value = parse_quantity(text, unit);
  EXPECT_TRUE(value) << text;
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

TEST(ParseQuantity, TakesNumbersAsPeopleTypeThem) {
  EXPECT_EQ(parsed("42", ""), 42);
  EXPECT_EQ(parsed(" 1e21 ", ""), 1e21);
  EXPECT_EQ(parsed("+2.5", ""), 2.5);
  EXPECT_EQ(parsed("-3", ""), -3);
  EXPECT_EQ(parsed("300M", "params"), 300e6);
  EXPECT_EQ(parsed("1.5k", ""), 1500);
  EXPECT_EQ(parsed("2T", ""), 2e12);
  EXPECT_EQ(parsed("10B", "tok"), 10e9);
  EXPECT_EQ(parsed("10G", "tok"), 10e9);
}

TEST(ParseQuantity, TakesTheUnitAskedForInOneOrMany) {
  EXPECT_EQ(parsed("25Btok", "tok"), 25e9);
  EXPECT_EQ(parsed("25 Btok", "tok"), 25e9);
  EXPECT_EQ(parsed("131072tok", "tok"), 131072);
  EXPECT_EQ(parsed("1e21flop", "flop"), 1e21);
  EXPECT_EQ(parsed("3Eflops", "flop"), 3e18);
  EXPECT_EQ(parsed("7Mparams", "params"), 7e6);
}

TEST(ParseQuantity, CountsBytesByThousandsAndBy1024) {
  EXPECT_EQ(parsed("10B", "B"), 10);
  EXPECT_EQ(parsed("10", "B"), 10);
  EXPECT_EQ(parsed("10kB", "B"), 10e3);
  EXPECT_EQ(parsed("2GB", "B"), 2e9);
  EXPECT_EQ(parsed("2G", "B"), 2e9);
  EXPECT_EQ(parsed("1.5GiB", "B"), 1610612736);
  EXPECT_EQ(parsed("64MiB", "B"), 67108864);
}

TEST(ParseQuantity, AddsThePartsOfADuration) {
  EXPECT_EQ(parsed("90", "s"), 90);
  EXPECT_EQ(parsed("90s", "s"), 90);
  EXPECT_EQ(parsed("1m30", "s"), 90);
  EXPECT_EQ(parsed("2h30m", "s"), 9000);
  EXPECT_EQ(parsed("1d", "s"), 86400);
  EXPECT_EQ(parsed("1.5min", "s"), 90);
}

TEST(ParseQuantity, RefusesWhatIsNoNumberOrOfAnotherUnit) {
  for (const char* text : {"",
                           " ",
                           "tok",
                           "1e21flop",
                           "5x",
                           "5Btokens!",
                           "nan",
                           "inf",
                           "0x10",
                           "1e999",
                           "+-5",
                           "1,5",
                           "1e308E"}) {
    const Result<double> value = parse_quantity(text, "tok");

    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().kind, ErrorKind::usage);
    EXPECT_EQ(value.error().hint, "write it like 25Btok");
  }
  for (const char* text : {"3y", "h", "2h-", "1e308d"})
    EXPECT_FALSE(parse_quantity(text, "s")) << text;
}

TEST(FormatQuantity, ScalesToReadableMagnitudes) {
  EXPECT_EQ(format_quantity(1234567), "1.23M");
  EXPECT_EQ(format_quantity(1234567, "tok"), "1.23 Mtok");
  EXPECT_EQ(format_quantity(0), "0");
  EXPECT_EQ(format_quantity(42.5), "42.5");
  EXPECT_EQ(format_quantity(-2500), "-2.5k");
  EXPECT_EQ(format_quantity(70e9, "params"), "70 Bparams");
  EXPECT_EQ(format_quantity(70e9, "B"), "70 GB");
  EXPECT_EQ(format_quantity(123456, "", 5), "123.46k");
}

TEST(FormatQuantity, CarriesIntoTheNextMagnitudeWhenRounding) {
  EXPECT_EQ(format_quantity(999.9), "1k");
  EXPECT_EQ(format_quantity(999'999), "1M");
  EXPECT_EQ(format_quantity(999'499), "999k");
  EXPECT_EQ(format_quantity(999.9e9, "tok"), "1 Ttok");
}

TEST(FormatQuantity, WritesHugeAndTinyNumbersWithAnExponent) {
  EXPECT_EQ(format_quantity(1.234e21, "flop"), "1.23e+21 flop");
  EXPECT_EQ(format_quantity(1.5e-7), "1.5e-07");
}

TEST(FormatQuantity, KeepsEnoughDigitsBeforeThePoint) {
  EXPECT_EQ(format_quantity(123456, "", 1), "123k");
  EXPECT_EQ(format_quantity(123, "", 2), "123");
}

TEST(FormatDuration, ShowsTheTwoLargestParts) {
  EXPECT_EQ(format_duration(2.5), "2.5s");
  EXPECT_EQ(format_duration(9.99), "10s");
  EXPECT_EQ(format_duration(59.7), "1m 0s");
  EXPECT_EQ(format_duration(75), "1m 15s");
  EXPECT_EQ(format_duration(3600), "1h 0m");
  EXPECT_EQ(format_duration(93784), "1d 2h");
}

TEST(FormatDuration, OfNoFiniteTimeIsUnknown) {
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "unknown");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::quiet_NaN()), "unknown");
}

TEST(Nearest, FindsAWordWithinTwoEdits) {
  const std::vector<std::string> known = {"plan", "predict", "fit", "lr"};

  EXPECT_EQ(nearest("paln", known), "plan");
  EXPECT_EQ(nearest("predcit", known), "predict");
  EXPECT_EQ(nearest("fti", known), "fit");
  EXPECT_EQ(nearest("report", known), std::nullopt);
  EXPECT_EQ(nearest("plan", known), "plan");
}

TEST(Nearest, DoesNotReplaceAWordWhole) {
  const std::vector<std::string> known = {"lr", "fit"};

  EXPECT_EQ(nearest("x", known), std::nullopt);
  EXPECT_EQ(nearest("ab", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
}

TEST(DidYouMean, AsksOrSaysNothing) {
  const std::vector<std::string> known = {"width", "heads"};

  EXPECT_EQ(did_you_mean("widht", known), "did you mean \"width\"?");
  EXPECT_EQ(did_you_mean("temperature", known), "");
}

TEST(Text, CountsInWords) {
  EXPECT_EQ(counted(0, "level"), "0 levels");
  EXPECT_EQ(counted(1, "level"), "1 level");
  EXPECT_EQ(counted(2, "level"), "2 levels");
}

}  // namespace
}  // namespace ration
