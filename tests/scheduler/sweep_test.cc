#include "scheduler/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/random.h"
#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using test::problems_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// "line:column what" of every problem that reading `text` shows.
std::vector<std::string> problems(const std::string& text) {
  const Result<Sweep> sweep = read_sweep(text, "sweep.toml");
  if (sweep) return {};
  EXPECT_EQ(sweep.error().kind, ErrorKind::usage);
  return problems_of(sweep.error());
}

std::string hint(const std::string& text) {
  const Result<Sweep> sweep = read_sweep(text, "sweep.toml");
  return sweep ? "" : sweep.error().hint;
}

TEST(ReadSweep, KeepsTheTextAndItsDigest) {
  const std::string text = "name = \"demo\"\n[fixed]\ntokens = 6400\n";

  const Result<Sweep> sweep = read_sweep(text, "folder/other.toml");

  ASSERT_TRUE(sweep) << sweep.error().describe();
  EXPECT_EQ(sweep->name, "demo");
  EXPECT_EQ(sweep->file, "folder/other.toml");
  EXPECT_EQ(sweep->source, text);
  EXPECT_EQ(sweep->sha256, sha256_hex(text));
}

TEST(ReadSweep, TakesItsNameFromTheFile) {
  EXPECT_EQ(read_sweep("", "a/b/small.v2.toml")->name, "small.v2");
  EXPECT_EQ(read_sweep("{}", "gen.json")->name, "gen");
  EXPECT_THAT(problems_of(read_sweep("", "my sweep.toml").error()),
              ElementsAre("0:0 the sweep has no name, and the file's cannot be used as one"));
}

TEST(ReadSweep, RefusesNamesThatMeanSomethingToAShellOrAPath) {
  for (const char* name : {"../x",
                           "/etc/passwd",
                           "a/../../b",
                           "-rf",
                           "$(id)",
                           "`id`",
                           ";id",
                           "a|b",
                           "%j",
                           "{}",
                           ".",
                           "..",
                           ".hidden",
                           "",
                           "a b",
                           "a:b"}) {
    EXPECT_THAT(problems(std::string("name = '") + name + "'"),
                ElementsAre("1:8 the name of the sweep cannot be used"))
        << name;
  }
  EXPECT_THAT(problems("name = \"a\\nb\""),
              ElementsAre("1:8 the name of the sweep cannot be used"));
  EXPECT_THAT(problems("name = \"\\u0430bc\""),
              ElementsAre("1:8 the name of the sweep cannot be used"))
      << "a Cyrillic letter that looks like a";
  EXPECT_THAT(problems("name = '" + std::string(10000, 'a') + "'"),
              ElementsAre("1:8 the name of the sweep cannot be used"));
  EXPECT_THAT(problems("name = '" + std::string(64, 'a') + "'"), IsEmpty());
  EXPECT_THAT(problems("name = 3"), ElementsAre("1:8 the name of the sweep cannot be used"));
}

TEST(ReadSweep, StopsNothingEarlyUnlessAsked) {
  EXPECT_FALSE(read_sweep("name = 'x'", "sweep.toml")->stop.any());
  EXPECT_FALSE(read_sweep("name = 'x'\n[stop]\n", "sweep.toml")->stop.any());
}

TEST(ReadSweep, ReadsTheRuleOfSuccessiveHalving) {
  const Result<Sweep> plain = read_sweep("[stop.halving]\neta = 4\n", "sweep.toml");
  const Result<Sweep> full =
      read_sweep("[stop.halving]\nrungs = [0.2, 0.5]\nleast = 8\nbracket = ['tokens', 'width']\n",
                 "sweep.toml");

  ASSERT_TRUE(plain) << plain.error().describe();
  ASSERT_TRUE(full) << full.error().describe();
  EXPECT_EQ(plain->stop.halving->halving,
            (Halving{.eta = 4, .rungs = {1.0 / 16, 1.0 / 4}, .least = 3}));
  EXPECT_THAT(plain->stop.halving->bracket, ElementsAre("tokens"));
  EXPECT_EQ(full->stop.halving->halving, (Halving{.eta = 3, .rungs = {0.2, 0.5}, .least = 8}));
  EXPECT_THAT(full->stop.halving->bracket, ElementsAre("tokens", "width"));
}

TEST(ReadSweep, RefusesRulesOfStoppingThatMeanNothing) {
  EXPECT_THAT(problems("stop = 3"), ElementsAre("1:8 stop must be a table"));
  EXPECT_THAT(
      problems("[stop]\nhalfing = 3\nhalving = 3\n"),
      ElementsAre("2:1 unknown key \"halfing\" in stop", "3:11 stop.halving must be a table"));
  EXPECT_THAT(hint("[stop]\nhalfing = 3\n"), HasSubstr("halving"));
  EXPECT_THAT(problems("[stop.halving]\neta = 1.9\nleast = 1\nrungs = []\nbracket = 'width'\n"),
              ElementsAre("2:7 eta must be a number from 2 to 100",
                          "3:9 least must be a whole number from 2 to 1000000",
                          "4:9 rungs must be a list of fractions",
                          "5:11 bracket must be a list of settings"));
  EXPECT_THAT(problems("[stop.halving]\nrungs = [0, 0.5, 0.4, 1]\nbracket = ['widht', 3]\n"),
              ElementsAre("2:10 a rung must be a number above 0 and below 1",
                          "2:18 rungs must rise",
                          "2:23 a rung must be a number above 0 and below 1",
                          "3:12 \"widht\" is no setting that changes results",
                          "3:21 bracket names settings"));
  EXPECT_THAT(problems("[stop.halving]\neta = true\nrung = [0.1]\n"),
              ElementsAre("2:7 eta must be a number from 2 to 100",
                          "3:1 unknown key \"rung\" in stop.halving"));
}

TEST(ReadSweep, ReadsTheRuleOfPrediction) {
  const Result<Sweep> plain = read_sweep("[stop.predicted]\n", "sweep.toml");
  const Result<Sweep> full =
      read_sweep("[stop.predicted]\nafter = 0.7\nwithin = 0.005\nfit = 'law.json'\n", "sweep.toml");

  ASSERT_TRUE(plain) << plain.error().describe();
  ASSERT_TRUE(full) << full.error().describe();
  EXPECT_EQ(plain->stop.predicted->foresight, (Foresight{.after = 0.5, .within = 0.01}));
  EXPECT_EQ(plain->stop.predicted->fit, "");
  EXPECT_FALSE(plain->stop.halving);
  EXPECT_EQ(full->stop.predicted->foresight, (Foresight{.after = 0.7, .within = 0.005}));
  EXPECT_EQ(full->stop.predicted->fit, "law.json");
  EXPECT_THAT(problems("[stop.predicted]\nafter = 1\nwithin = 0\nfit = ''\nwhen = 2\n"),
              ElementsAre("2:9 after must be a number above 0 and below 1",
                          "3:10 within must be a number above 0 and below 1",
                          "4:7 fit must be the name of a file",
                          "5:1 unknown key \"when\" in stop.predicted"));
}

TEST(ReadSweep, WeighsAsMuchAsAnyOtherUnlessToldOtherwise) {
  EXPECT_EQ(read_sweep("", "a.toml")->weight, 1);
  EXPECT_EQ(read_sweep("weight = 2", "a.toml")->weight, 2);
  EXPECT_EQ(read_sweep("weight = 0.5", "a.toml")->weight, 0.5);
  for (const char* weight : {"0", "-1", "2e6", "'2'", "true", "[1]"})
    EXPECT_THAT(problems(std::string("weight = ") + weight),
                ElementsAre("1:10 weight must be a number above 0 and at most 1e6"))
        << weight;
}

TEST(ReadSweep, KeepsTheGoalAsTextForTheCommandsThatPlan) {
  const Result<Sweep> sweep = read_sweep(
      "name = 'x'\n[goal]\nbudget = '1e15flop'\nunique = 2000000\ndelta = 1e-2\nlaw = 'auto'\n",
      "sweep.toml");

  ASSERT_TRUE(sweep) << sweep.error().describe();
  EXPECT_THAT(sweep->goal,
              ElementsAre(testing::Pair("budget", "1e15flop"),
                          testing::Pair("delta", "0.01"),
                          testing::Pair("law", "auto"),
                          testing::Pair("unique", "2000000")));
  EXPECT_THAT(problems("goal = 3"), ElementsAre("1:8 goal must be a table"));
  EXPECT_THAT(problems("[goal]\nbuget = 1\nlaw = true\nunique = [1]\n"),
              ElementsAre("2:1 unknown key \"buget\" in goal",
                          "3:7 law must be a text or a number",
                          "4:10 unique must be a text or a number"));
}

TEST(ReadSweep, ReportsAllProblemsOfAFileInItsOrder) {
  EXPECT_THAT(problems("dat = 'x'\n"
                       "seeds = 0\n"
                       "[fixed]\n"
                       "widht = 64\n"
                       "lr = 50\n"
                       "layers = 2.5\n"
                       "family = 'bert'\n"
                       "clip = nan\n"
                       "seed = 1979-05-27\n"
                       "tied = 'yes'\n"
                       "[grid]\n"
                       "dropout = [0, 0.1, 1.5]\n"
                       "beta1 = 0.5\n"
                       "beta2 = []\n"
                       "z_loss = [[1]]\n"
                       "[derive]\n"
                       "mlp_width = '4 * widh'\n"
                       "heads = 4\n"),
              ElementsAre("1:1 unknown key \"dat\" in the top of the file",
                          "2:9 seeds = 0 is out of range 1 to 10000",
                          "4:1 unknown setting \"widht\"",
                          "5:6 lr = 50 is out of range",
                          "6:10 layers must be a whole number, not 2.5",
                          "7:10 family = \"bert\" is not known",
                          "8:8 NaN and infinities are no values of a run",
                          "9:8 dates and times are no values of a run",
                          "10:8 tied must be true or false, not \"yes\"",
                          "12:20 dropout = 1.5 is out of range",
                          "13:9 beta1 must be an array, not a number",
                          "14:9 beta2 has no values",
                          "15:11 z_loss must be a value, not an array",
                          "17:18 unknown name \"widh\"",
                          "18:9 an expression must be a text, not a number"));
}

TEST(ReadSweep, SuggestsTheNearestKnownWord) {
  EXPECT_EQ(hint("seds = 2"), "did you mean \"seeds\"?");
  EXPECT_EQ(hint("[fixed]\nwidht = 2"), "did you mean \"width\"?");
  EXPECT_EQ(hint("[grid]\nepoch = [2]"), "did you mean \"epochs\"?");
  EXPECT_EQ(hint("exclude = 'tokns > 3'"), "did you mean \"tokens\"?");
  EXPECT_THAT(hint("width = 64"), HasSubstr("[fixed]"));
}

TEST(ReadSweep, ShowsTheLineWithTheCaret) {
  const Result<Sweep> sweep = read_sweep("[grid]\n  lr = [1e-3, 50]\n", "my.toml");

  ASSERT_FALSE(sweep);
  EXPECT_EQ(sweep.error().describe(),
            "error: lr = 50 is out of range\n"
            "  --> my.toml:2:15\n"
            "   |   lr = [1e-3, 50]\n"
            "   |               ^\n"
            "help: allowed: 0 to 10\n");
}

TEST(ReadSweep, RefusesANameSetTwiceOnOneLevel) {
  EXPECT_THAT(problems("[fixed]\nlr = 1\n[grid]\nlr = [1]\n"),
              ElementsAre("4:1 lr is set twice; first in line 2"));
  EXPECT_THAT(problems("[fixed]\ntokens = 64\n[grid]\nepochs = [1]\n"),
              ElementsAre("4:1 epochs is set, but tokens decides it already, in line 2"));
  EXPECT_THAT(problems("[[list]]\ntokens = 64\nepochs = 1\n"),
              ElementsAre("3:1 epochs is set, but tokens decides it already, in line 2"));
  EXPECT_THAT(problems("data = 'a'\n[fixed]\ndata = 'b'\n"),
              ElementsAre("3:1 data is set twice; first in line 1"));
  EXPECT_THAT(problems("[[list]]\ntokens = 64\n[[list]]\nepochs = 1\n"), IsEmpty());
}

TEST(ReadSweep, LetsABlockReplaceWhatStandsAloneAtTheTop) {
  EXPECT_THAT(problems("[fixed]\nlr = 1\ntokens = 64\n[grid]\nwidth = [2]\n"
                       "[[block]]\n[block.grid]\nlr = [1]\nepochs = [1]\nwidth = [4]\n"),
              IsEmpty());
  EXPECT_THAT(
      problems("[zip]\nlr = [1]\nwidth = [2]\n[[block]]\n[block.fixed]\nlr = 1\n"),
      ElementsAre("6:1 lr goes together with others in an axis at the top of the file, line 2"));
  EXPECT_THAT(
      problems("[zip]\ntokens = [64]\nlr = [1]\n[[block]]\n[block.fixed]\nepochs = 1\n"),
      ElementsAre(
          "6:1 tokens goes together with others in an axis at the top of the file, line 2"));
  EXPECT_THAT(
      problems("[[list]]\ntokens = 64\n[[list]]\nepochs = 1\n[[block]]\n[block.fixed]\nepochs = 2"),
      testing::UnorderedElementsAre(
          "7:1 tokens goes together with others in an axis at the top of the file, line 2",
          "7:1 epochs goes together with others in an axis at the top of the file, line 2"));
}

TEST(ReadSweep, NamesBothArraysOfAZipThatDoNotMatch) {
  EXPECT_THAT(
      problems("[zip]\nwidth = [32, 64]\nlr = [1, 2, 3]\n"),
      ElementsAre("3:1 zip takes arrays of one length, but width has 2 values and lr has 3"));
}

TEST(ReadSweep, RefusesToSetWhatFollowsFromOtherThings) {
  EXPECT_THAT(
      problems("[fixed]\nvocab = 3\nparams = 3\nnumerics = 1\nreplica = 0\n"),
      ElementsAre("2:1 vocab cannot be set: it is taken from the prepared data",
                  "3:1 params cannot be set: it follows from the shape of the model",
                  "4:1 numerics cannot be set: it is the version of the trainer's arithmetic",
                  "5:1 replica cannot be set: it is counted by `seeds`"));
}

TEST(ReadSweep, ReadsUnitsOnlyWhereTheSettingHasThem) {
  EXPECT_THAT(
      problems("[fixed]\ntokens = '1Mtok'\nval_tokens = '98K'\ncheckpoint_minutes = '1h30m'"),
      IsEmpty());
  EXPECT_THAT(problems("[fixed]\ntokens = '3flop'"),
              ElementsAre("2:10 tokens: \"3flop\" is not a number of tok"));
  EXPECT_THAT(problems("[fixed]\nwidth = '1K'"),
              ElementsAre("2:9 width must be a whole number, not \"1K\""));
  EXPECT_THAT(hint("[fixed]\ntokens = '20 * params'"), HasSubstr("[derive]"));
}

TEST(ReadSweep, ChecksTheNamesOfVariables) {
  EXPECT_THAT(problems("[let]\nif = 1\nlr = 1\nx-y = 1\nsize = [1]\n"),
              ElementsAre("2:1 \"if\" cannot name a variable",
                          "3:1 lr has a meaning already",
                          "4:1 \"x-y\" cannot name a variable",
                          "5:8 size must be one value"));
  EXPECT_THAT(problems("[let]\nsize = 1\n[grid]\nsize = [1, 2]\n[derive]\nwidth = '16 * size'"),
              IsEmpty());
}

TEST(ReadSweep, RefusesAConditionOnWhatNothingSets) {
  EXPECT_THAT(problems("[when]\ndropout = 'epochs > 4'"),
              ElementsAre("2:1 a condition on dropout, which nothing sets"));
  EXPECT_THAT(problems("[when]\ndropout = 'epochs > 4'\n[[block]]\n[block.fixed]\ndropout = 0.1"),
              IsEmpty());
}

TEST(ReadSweep, PointsIntoExpressionsWhereTheyStandInOnePiece) {
  EXPECT_THAT(problems("exclude = ['width > 3', \"lr >\"]"),
              ElementsAre("1:30 the expression ends too early"));
  EXPECT_THAT(problems("exclude = \"lr \\u003e\""),
              ElementsAre("1:11 the expression ends too early"));
  EXPECT_THAT(problems("exclude = '''\nlr >'''"),
              ElementsAre("1:11 the expression ends too early"));
}

TEST(ReadSweep, AcceptsJsonWithTheSameKeys) {
  EXPECT_THAT(
      problems(R"({"name": "j", "fixed": {"tokens": "1Mtok"}, "grid": {"lr": [1e-3, 2e-3]}})"),
      IsEmpty());
  EXPECT_THAT(problems("{\n \"fixed\": {\"lr\": 50, \"lr\": 2, \"widht\": 3},\n"
                       " \"grid\": {\"width\": [2, null, 18446744073709551615]}}"),
              ElementsAre("2:18 lr = 50 is out of range",
                          "2:22 the key \"lr\" is given twice",
                          "2:31 unknown setting \"widht\"",
                          "3:24 null is no value of a run",
                          "3:30 width must be a whole number, not 1.8446744073709552e+19"));
}

TEST(ReadSweep, NamesThePlaceOfASyntaxError) {
  const auto toml = problems("[fixed]\nlr = = 3\n");
  ASSERT_EQ(toml.size(), 1u);
  EXPECT_THAT(toml[0], HasSubstr("2:6 not valid TOML"));
  const auto json = problems("{\n  \"fixed\": {,}\n}");
  ASSERT_EQ(json.size(), 1u);
  EXPECT_THAT(json[0], HasSubstr("2:13 not valid JSON"));
  EXPECT_THAT(problems("[fixed]\nlr = 1\nlr = 2\n")[0], HasSubstr("3:6 not valid TOML"));
}

TEST(ReadSweep, RefusesWhatItsParserIsNotSafeOn) {
  EXPECT_THAT(problems("[="), ElementsAre(HasSubstr("not valid TOML")));
  EXPECT_THAT(problems("[[x]="), ElementsAre(HasSubstr("not valid TOML")));
  EXPECT_THAT(problems("[&"), ElementsAre(HasSubstr("not valid TOML")));
  EXPECT_THAT(problems("# caf\xc3\xa9\n"), ElementsAre("1:6 the byte 0xc3 is not ASCII"));
  EXPECT_THAT(problems("a = 1\n\xef\xbb\xbf"), ElementsAre("2:1 the byte 0xef is not ASCII"));
  EXPECT_THAT(problems(std::string("a = 1\n  \0", 9)),
              ElementsAre("2:3 a NUL byte in the sweep file"));
  EXPECT_THAT(problems("data = \"a\\u0000b\""), ElementsAre("1:8 a control character in a text"));
  EXPECT_THAT(problems(std::string((1 << 20) + 1, '#')),
              ElementsAre("0:0 a sweep file of 1048577 bytes; at most 1048576 are read"));
}

TEST(ReadSweep, StaysShortOnFilesFullOfMistakes) {
  std::string text = "[grid]\nlr = [";
  for (int i = 0; i < 100'000; ++i) text += i % 2 == 0 ? "99," : "nan,";
  const Result<Sweep> sweep = read_sweep(text + "]", "sweep.toml");

  ASSERT_FALSE(sweep);
  EXPECT_EQ(sweep.error().causes.size(), 51u);
  EXPECT_THAT(sweep.error().causes.back().what, HasSubstr("more problems"));
}

TEST(ReadSweep, SurvivesDeepNesting) {
  EXPECT_FALSE(problems("a = " + std::string(100'000, '[')).empty());
  EXPECT_FALSE(problems("{\"a\":" + std::string(100'000, '[')).empty());
  EXPECT_FALSE(problems("[a" + std::string(5'000, '.') + "b]").empty());
  std::string dotted = "a";
  for (int i = 0; i < 5'000; ++i) dotted += ".a";
  EXPECT_FALSE(problems(dotted + " = 1").empty());
}

// Every input ends in a sweep or in a message, whatever its bytes.
TEST(ReadSweep, AnswersAnyMutationOfASweep) {
  const std::string seed_text =
      "name = 'x'\nseeds = [0, 1]\nexclude = \"width > 3\"\n[let]\na = 1\n[fixed]\ntokens = "
      "'1Mtok'\n[grid]\nlr = [1e-3, 2]\n[[list]]\nwidth = 2\n[[block]]\nwhen = 'true'\n"
      "[block.zip]\nbeta1 = [0.5]\n";
  static constexpr std::string_view kPieces = "[]{}='\"#.,\n\\ux0-+e_:T\r\t& ";
  int understood = 0;
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    Stream stream(seed, StreamId::starts);
    std::string text = stream.below(8) == 0 ? std::string() : seed_text;
    for (std::uint64_t n = stream.below(6) + 1; n > 0; --n) {
      const std::size_t at = stream.below(text.size() + 1);
      const char piece = kPieces[stream.below(kPieces.size())];
      if (stream.below(3) == 0 && at < text.size())
        text.erase(at, stream.below(5) + 1);
      else if (stream.below(2) == 0 && at < text.size())
        text[at] = piece;
      else
        text.insert(at, 1, piece);
    }
    const Result<Sweep> sweep = read_sweep(text, "sweep.toml");
    understood += sweep ? 1 : 0;
    if (!sweep) {
      EXPECT_FALSE(sweep.error().describe().empty());
    }
  }
  EXPECT_GT(understood, 100);
}

}  // namespace
}  // namespace ration::scheduler
