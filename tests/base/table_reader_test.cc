#include "base/table_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace ration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Problems = std::vector<Error>;

TableReader reader(const Json& table, Problems& problems) {
  return {table, "s.toml", "[merge]", problems};
}

// What people are told, `WHAT | HINT`, without the place, which one test looks at.
std::vector<std::string> told(const Problems& problems) {
  std::vector<std::string> all;
  for (const Error& each : problems) {
    EXPECT_EQ(each.kind, ErrorKind::usage);
    EXPECT_TRUE(each.what.starts_with("s.toml: [merge] ")) << each.what;
    all.push_back(each.what.substr(16) + " | " + each.hint);
  }
  return all;
}

TEST(TableReader, LeavesTargetsAloneWhereTheTableHasNoSuchMember) {
  const Json table = Json::object();
  Problems problems;
  TableReader read = reader(table, problems);
  std::string text = "as it was";
  std::int64_t whole = 7;
  std::vector<std::string> texts = {"old"};

  read.text("text", text);
  read.choice("choice", {"a"}, text);
  read.whole("whole", 100, 200, whole);
  read.texts("texts", texts);
  read.choices("choices", {"a"}, texts);
  read.refuse_unknown();

  EXPECT_EQ(text, "as it was");
  EXPECT_EQ(whole, 7);
  EXPECT_THAT(texts, ElementsAre("old"));
  EXPECT_EQ(read.find("text"), nullptr);
  EXPECT_EQ(read.table("table"), nullptr);
  EXPECT_THAT(problems, IsEmpty());
}

TEST(TableReader, SaysTheFileTheTableTheKeyTheValueAndWhatIsTaken) {
  const Json table = {{"subsets", 0}};
  Problems problems;
  std::int64_t subsets = 10;

  reader(table, problems).whole("subsets", 1, 100, subsets);

  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].describe(),
            "error: s.toml: [merge] subsets = 0 is out of range\n"
            "help: a whole number from 1 to 100\n");
  EXPECT_EQ(subsets, 10);
}

TEST(TableReader, TakesTextsAloneInListsAndInTables) {
  const Json table = Json::parse(
      R"({"base": "b", "none": "", "one": "x", "two": ["x", "y"], "map": {"p": "q", "r": "s"}})");
  Problems problems;
  TableReader read = reader(table, problems);
  std::string base;
  std::string none = "old";
  std::vector<std::string> one;
  std::vector<std::string> two;
  std::map<std::string, std::string> map;

  read.text("base", base);
  read.text("none", none, TableReader::Empty::taken);
  read.texts("one", one);
  read.choices("two", {"y", "x"}, two);
  read.words("map", map);
  read.refuse_unknown();

  EXPECT_EQ(base, "b");
  EXPECT_EQ(none, "");
  EXPECT_THAT(one, ElementsAre("x"));
  EXPECT_THAT(two, ElementsAre("x", "y")) << "in the order of the file";
  EXPECT_THAT(map, ElementsAre(Pair("p", "q"), Pair("r", "s")));
  EXPECT_THAT(problems, IsEmpty());
}

TEST(TableReader, RefusesWhatIsNoTextOrNoneOfTheChoices) {
  const Json table = Json::parse(
      R"({"base": 3, "none": "", "list": ["x", 1], "map": {"p": 1}, "no_map": "p",
          "probe": "linear", "tune": ["all", "heads", 2]})");
  Problems problems;
  TableReader read = reader(table, problems);
  std::string text = "old";
  std::vector<std::string> list = {"old"};
  std::vector<std::string> tune;
  std::map<std::string, std::string> map;

  read.text("base", text);
  read.text("none", text);
  read.texts("list", list);
  read.words("map", map);
  read.words("no_map", map);
  read.choice("probe", {"none", "bias"}, text);
  read.choices("tune", {"all", "head"}, tune);

  EXPECT_THAT(told(problems),
              ElementsAre("base = 3 is no text | write it in quotes",
                          "none is empty | give it a text, or leave it out",
                          "list = [\"x\",1] is no list of texts | list = [\"one\", \"other\"]",
                          "map.p = 1 is no text | write it in quotes",
                          "no_map = \"p\" is no table | no_map = {name = value}",
                          "probe = \"linear\" is no choice | one of none, bias",
                          "tune = \"heads\" is no choice | one of all, head",
                          "tune = 2 is no choice | one of all, head"));
  EXPECT_EQ(text, "old");
  EXPECT_THAT(list, ElementsAre("old"));
  EXPECT_THAT(tune, ElementsAre("all"));
}

TEST(TableReader, TakesWholeNumbersHoweverTheyAreWritten) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  const Json table = Json::parse(
      R"({"plain": 1000, "float": 1e3, "text": "1K", "tokens": "50Ktok", "most": 9007199254740992,
          "one": "2Ktok", "list": [3, "8Ktok"]})");
  Problems problems;
  TableReader read = reader(table, problems);
  std::int64_t plain = 0;
  int as_float = 0;
  std::uint64_t text = 0;
  std::int64_t tokens = 0;
  std::int64_t most = 0;
  std::vector<std::int64_t> one;
  std::vector<std::int64_t> list;

  read.whole("plain", 1000, 1000, plain);
  read.whole("float", 1, 1000, as_float);
  read.whole("text", 1, 1000, text, "");
  read.whole("tokens", 1, 100'000, tokens, "tok");
  read.whole("most", 0, kMost, most);
  read.wholes("one", 1, 10'000, one, "tok");
  read.wholes("list", 1, 10'000, list, "tok");

  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(plain, 1000);
  EXPECT_EQ(as_float, 1000);
  EXPECT_EQ(text, 1000U);
  EXPECT_EQ(tokens, 50'000);
  EXPECT_EQ(most, kMost);
  EXPECT_THAT(one, ElementsAre(2000));
  EXPECT_THAT(list, ElementsAre(3, 8000));
}

TEST(TableReader, RefusesNumbersThatAreNotWholeOrBeyondTheLimits) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  const Json table = Json::parse(
      R"({"half": 1.5, "more": 101, "text": "1K", "seconds": "30s", "list": [50, 200, "x"],
          "beyond": 9007199254740993, "huge": 18446744073709551615})");
  Problems problems;
  TableReader read = reader(table, problems);
  std::int64_t whole = 7;
  std::vector<std::int64_t> list = {7};

  read.whole("half", 1, 100, whole);
  read.whole("more", 1, 100, whole);
  read.whole("text", 1, 10'000, whole);
  read.whole("seconds", 1, 100, whole, "tok");
  read.wholes("list", 1, 100, list);
  read.whole("beyond", 0, kMost, whole);
  read.whole("huge", 0, kMost, whole);

  const std::string hint = " | a whole number from 1 to 100";
  const std::string most = " is out of range | a whole number from 0 to 9007199254740992";
  EXPECT_THAT(told(problems),
              ElementsAre("half = 1.5 is no whole number" + hint,
                          "more = 101 is out of range" + hint,
                          "text = \"1K\" is no whole number" + hint + "00",
                          "seconds = \"30s\" is no whole number | a whole number of tokens from 1 "
                          "to 100, or such as \"50Ktok\"",
                          "list = 200 is out of range" + hint,
                          "list = \"x\" is no whole number" + hint,
                          "beyond = 9007199254740993" + most,
                          "huge = 18446744073709551615" + most));
  EXPECT_EQ(whole, 7);
  EXPECT_THAT(list, ElementsAre(7));
}

TEST(TableReader, TakesNumbersUpToTheirLimitsAndFlags) {
  const Json table = {{"low", 0.5}, {"high", 2}, {"wait", "1h30m"}, {"lr", 1e-300}, {"deep", true}};
  Problems problems;
  TableReader read = reader(table, problems);
  double low = 0;
  double high = 0;
  double wait = 0;
  double lr = 0;
  bool deep = false;

  read.number("low", 0.5, 2, low);
  read.number("high", 0.5, 2, high);
  read.number("wait", 0, 1e9, wait, "s");
  read.positive("lr", lr);
  read.flag("deep", deep);

  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(low, 0.5);
  EXPECT_EQ(high, 2);
  EXPECT_EQ(wait, 5400);
  EXPECT_EQ(lr, 1e-300);
  EXPECT_TRUE(deep);
}

TEST(TableReader, RefusesNumbersBeyondTheirLimitsAndFlagsThatAreWords) {
  Json table = {{"low", 0.49}, {"text", "1"}, {"wait", -1}, {"lr", 0}, {"deep", "yes"}};
  table["endless"] = std::numeric_limits<double>::infinity();
  table["nan"] = std::numeric_limits<double>::quiet_NaN();
  Problems problems;
  TableReader read = reader(table, problems);
  double number = 7;
  bool deep = false;

  read.number("low", 0.5, 2'000'000, number);
  read.number("text", 0.5, 2, number);
  read.number("wait", 0, 1e9, number, "s");
  read.number("nan", 0, 1, number);
  read.positive("lr", number);
  read.positive("endless", number);
  read.flag("deep", deep);

  EXPECT_THAT(
      told(problems),
      ElementsAre(
          "low = 0.49 is out of range | a number from 0.5 to 2000000",
          "text = \"1\" is no number | a number from 0.5 to 2",
          "wait = -1 is out of range | a number of seconds from 0 to 1000000000, or such as "
          "\"30m\"",
          "nan = null is no number | a number from 0 to 1",
          "lr = 0 is out of range | a number above 0",
          "endless = null is out of range | a number above 0",
          "deep = \"yes\" is neither true nor false | write true or false, unquoted"));
  EXPECT_EQ(number, 7);
}

TEST(TableReader, RefusesKeysThatNobodyAskedForWithTheNearestOrAll) {
  const Json table = {{"windos", 1}, {"colour", 2}, {"base", 3}};
  Problems problems;
  TableReader read = reader(table, problems);

  read.find("windows");
  read.find("base");
  read.find("base");
  read.refuse_unknown();

  EXPECT_THAT(told(problems),
              ElementsAre("colour is no key here | one of windows, base",
                          "windos is no key here | did you mean \"windows\"?"));
}

TEST(TableReader, RepeatsNoLongListAndNoTextThatIsNone) {
  const Json table = {{"long", std::vector<int>(100, 1)}, {"bytes", "\xff"}};
  Problems problems;
  TableReader read = reader(table, problems);
  std::string text;

  read.text("long", text);
  read.choice("bytes", {"a"}, text);

  EXPECT_THAT(told(problems),
              ElementsAre("long = […] is no text | write it in quotes",
                          "bytes = \"\xef\xbf\xbd\" is no choice | one of a"));
}

TEST(TableReader, NotesWhatACallerFindsWrong) {
  const Json table = Json::object();
  Problems problems;
  const TableReader read = reader(table, problems);

  read.refuse("base", "is missing", "base = \"NAME\"");
  read.refuse_table("mixes blocks and weights", "name either");

  EXPECT_THAT(
      told(problems),
      ElementsAre("base is missing | base = \"NAME\"", "mixes blocks and weights | name either"));
}

}  // namespace
}  // namespace ration
