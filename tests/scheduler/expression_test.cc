#include "scheduler/expression.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>

#include "base/random.h"
#include "scheduler/source_text.h"

namespace ration::scheduler {
namespace {

using run::Value;
using testing::HasSubstr;

// Names with fixed values; a name without one has a problem that was reported before.
class FixedScope : public Scope {
 public:
  explicit FixedScope(const Names& names) : names_(names) {}

  const Value* find(int slot) override {
    ++looked_up;
    const auto found = values.find(names_[slot].name);
    return found == values.end() ? nullptr : &found->second;
  }

  std::map<std::string, Value> values;
  int looked_up = 0;

 private:
  const Names& names_;
};

class ExpressionTest : public testing::Test {
 protected:
  ExpressionTest() : scope_(names_) {
    scope_.values = {{"width", std::int64_t{48}},
                     {"heads", std::int64_t{4}},
                     {"lr", 0.003},
                     {"schedule", std::string("wsd")},
                     {"tied", true},
                     {"params", std::int64_t{10320}}};
  }

  Result<Expression> parse(const std::string& text) {
    const auto source = std::make_shared<const SourceText>("test", text);
    return Expression::parse(text, names_, [source](std::size_t offset) {
      return source->at(source->place_of(offset));
    });
  }

  Evaluation evaluate(const std::string& text) {
    Result<Expression> expression = parse(text);
    EXPECT_TRUE(expression) << text << ": " << expression.error().describe();
    return expression ? expression->evaluate(scope_) : Evaluation{};
  }

  Value value(const std::string& text) {
    const Evaluation result = evaluate(text);
    EXPECT_TRUE(result.value) << text << ": "
                              << (result.error ? result.error->describe() : "no value");
    return result.value.value_or(Value(std::string("nothing")));
  }

  // "column what" of the error that reading or evaluating `text` gives.
  std::string problem(const std::string& text) {
    const Result<Expression> expression = parse(text);
    std::optional<Error> error;
    if (expression)
      error = expression->evaluate(scope_).error;
    else
      error = expression.error();
    EXPECT_TRUE(error) << text;
    return error ? fmt::format("{} {}", error->where->column, error->what) : "";
  }

  Names names_;
  FixedScope scope_;
};

TEST_F(ExpressionTest, FollowsThePrecedenceOfArithmetic) {
  EXPECT_EQ(value("1 + 2 * 3"), Value(std::int64_t{7}));
  EXPECT_EQ(value("(1 + 2) * 3"), Value(std::int64_t{9}));
  EXPECT_EQ(value("10 - 4 - 3"), Value(std::int64_t{3}));
  EXPECT_EQ(value("2 ^ 3 ^ 2"), Value(std::int64_t{512}));
  EXPECT_EQ(value("-2 ^ 2"), Value(std::int64_t{-4}));
  EXPECT_EQ(value("2 ^ -1"), Value(0.5));
  EXPECT_EQ(value("- - 3"), Value(std::int64_t{3}));
}

TEST_F(ExpressionTest, FollowsThePrecedenceOfLogic) {
  EXPECT_EQ(value("true or false and false"), Value(true));
  EXPECT_EQ(value("not false and false"), Value(false));
  EXPECT_EQ(value("not 1 > 2"), Value(true));
  EXPECT_EQ(value("1 + 1 == 2 and 2 < 3"), Value(true));
}

TEST_F(ExpressionTest, KeepsWholeNumbersWhole) {
  EXPECT_EQ(value("width / heads"), Value(std::int64_t{12}));
  EXPECT_EQ(value("7 / 2"), Value(3.5));
  EXPECT_EQ(value("9007199254740993 * 1"), Value(std::int64_t{9007199254740993}));
  EXPECT_EQ(value("20 * params"), Value(std::int64_t{206400}));
  EXPECT_EQ(value("1e9"), Value(std::int64_t{1000000000}));
  EXPECT_EQ(value("2.0"), Value(2.0));
}

TEST_F(ExpressionTest, ReadsNumbersWithUnits) {
  EXPECT_EQ(value("131Ktok"), Value(std::int64_t{131000}));
  EXPECT_EQ(value("1.5M"), Value(1.5e6));
  EXPECT_EQ(value("1e12flop"), Value(std::int64_t{1000000000000}));
  EXPECT_EQ(value("131_072"), Value(std::int64_t{131072}));
  EXPECT_EQ(value("1e-3"), Value(1e-3));
}

TEST_F(ExpressionTest, RemainderHasTheSignOfTheDivisor) {
  EXPECT_EQ(value("7 % 3"), Value(std::int64_t{1}));
  EXPECT_EQ(value("-7 % 3"), Value(std::int64_t{2}));
  EXPECT_EQ(value("7 % -3"), Value(std::int64_t{-2}));
  EXPECT_EQ(value("5.5 % 2"), Value(1.5));
}

TEST_F(ExpressionTest, HasTheFunctionsOfItsTable) {
  EXPECT_EQ(value("min(3, 2.5, 4)"), Value(2.5));
  EXPECT_EQ(value("max(3, 2.5, 4)"), Value(std::int64_t{4}));
  EXPECT_EQ(value("ceil(2.1)"), Value(std::int64_t{3}));
  EXPECT_EQ(value("floor(-2.1)"), Value(std::int64_t{-3}));
  EXPECT_EQ(value("round(2.5)"), Value(std::int64_t{3}));
  EXPECT_EQ(value("int(-2.9)"), Value(std::int64_t{-2}));
  EXPECT_EQ(value("log2(1024)"), Value(10.0));
  EXPECT_EQ(value("sqrt(2.25)"), Value(1.5));
  EXPECT_EQ(value("if(width > 32, 'wide', 'narrow')"), Value(std::string("wide")));
}

TEST_F(ExpressionTest, ComparesNumbersOfBothKindsExactly) {
  EXPECT_EQ(value("1 == 1.0"), Value(true));
  EXPECT_EQ(value("9007199254740993 > 9007199254740992.0"), Value(true));
  EXPECT_EQ(value("schedule == 'wsd'"), Value(true));
  EXPECT_EQ(value("schedule != \"cosine\""), Value(true));
  EXPECT_EQ(value("tied == true"), Value(true));
}

TEST_F(ExpressionTest, EvaluatesOnlyWhatDecides) {
  EXPECT_EQ(value("if(true, 1, 1 / 0)"), Value(std::int64_t{1}));
  EXPECT_EQ(value("false and 1 / 0 > 1"), Value(false));
  EXPECT_EQ(value("true or 1 / 0 > 1"), Value(true));
}

TEST_F(ExpressionTest, IsSilentWhereANameHasNoValue) {
  const Evaluation result = evaluate("tokens * 2");

  EXPECT_FALSE(result.value);
  EXPECT_FALSE(result.error);
}

TEST_F(ExpressionTest, RefusesOverflowOfWholeNumbersAtTheOperator) {
  const std::string what = " the whole number is beyond 64 bits";
  EXPECT_EQ(value("2 ^ 62 - 1 + 2 ^ 62"), Value(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(value("9223372036854775807"), Value(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(problem("9223372036854775808"), "1 9223372036854775808 is beyond 64 bits");
  EXPECT_EQ(problem("2 ^ 62 + 2 ^ 62"), "8" + what);
  EXPECT_EQ(problem("2 ^ 62 * 2"), "8" + what);
  EXPECT_EQ(problem("2 ^ 63"), "3" + what);
  EXPECT_EQ(problem("-(2 ^ 62) - 2 ^ 62 - 1"), "20" + what);
  EXPECT_EQ(problem("(-(2 ^ 62) * 2) / -1"), "17" + what);
  EXPECT_EQ(value("(-(2 ^ 62) * 2) % -1"), Value(std::int64_t{0}));
  EXPECT_EQ(value("2.0 ^ 62 * 4"), Value(std::ldexp(1.0, 64)));
}

TEST_F(ExpressionTest, RefusesWhatHasNoResult) {
  EXPECT_EQ(problem("width / (heads - 4)"), "7 division by zero");
  EXPECT_EQ(problem("5 % 0"), "3 division by zero");
  EXPECT_EQ(problem("sqrt(0 - width)"), "1 the square root of a negative number");
  EXPECT_EQ(problem("log2(0)"), "1 the logarithm of a number that is not positive");
  EXPECT_EQ(problem("10.0 ^ 400"), "6 the result is not a finite number");
  EXPECT_EQ(problem("int(1e300)"), "1 the whole number is beyond 64 bits");
}

TEST_F(ExpressionTest, RefusesOperandsOfTheWrongType) {
  EXPECT_EQ(problem("schedule + 1"), "10 'wsd' is not a number");
  EXPECT_EQ(problem("not width"), "1 48 is neither true nor false");
  EXPECT_EQ(problem("schedule > 1"), "10 'wsd' and 1 cannot be compared");
  EXPECT_EQ(problem("if(width, 1, 2)"), "1 48 is neither true nor false");
}

TEST_F(ExpressionTest, NamesThePlaceOfASyntaxError) {
  EXPECT_EQ(problem("width >"), "8 the expression ends too early");
  EXPECT_EQ(problem(""), "1 the expression ends too early");
  EXPECT_EQ(problem("(width"), "1 a parenthesis that is not closed");
  EXPECT_EQ(problem("width = 3"), "7 unexpected \"=\" in an expression");
  EXPECT_EQ(problem("1 < width < 3"), "11 comparisons in a chain");
  EXPECT_EQ(problem("max(1)"), "1 max takes 2 values or more, not 1");
  EXPECT_EQ(problem("round(1, 2)"), "1 round takes 1 value, not 2");
  EXPECT_EQ(problem("system('id')"), "1 unknown function \"system\"");
  EXPECT_EQ(problem("width and"), "10 the expression ends too early");
  EXPECT_EQ(problem("12abc"), "1 \"12abc\" is not a number");
  EXPECT_EQ(problem("'open"), "1 a text that is not closed");
  EXPECT_EQ(problem("width; heads"), "6 unexpected \";\" in an expression");
}

TEST_F(ExpressionTest, CollectsUnknownNamesAndSuggestsTheNearest) {
  const Result<Expression> expression = parse("widht > 3 and 2 * foozle > head");

  ASSERT_FALSE(expression);
  const std::vector<Error>& causes = expression.error().causes;
  ASSERT_EQ(causes.size(), 3u);
  EXPECT_EQ(causes[0].what, "unknown name \"widht\"");
  EXPECT_EQ(causes[0].hint, "did you mean \"width\"?");
  EXPECT_EQ(causes[0].where->column, 1);
  EXPECT_EQ(causes[1].where->column, 19);
  EXPECT_THAT(causes[1].hint, HasSubstr("[let]"));
  EXPECT_EQ(causes[2].hint, "did you mean \"heads\"?");
}

TEST_F(ExpressionTest, SurvivesDepthAndLength) {
  EXPECT_THAT(problem(std::string(1900, '(') + "1"), HasSubstr("nested deeper"));
  EXPECT_THAT(problem(std::string(1900, '-') + "1"), HasSubstr("nested deeper"));
  EXPECT_THAT(problem("1" + std::string(2000, ' ')), HasSubstr("2001 characters"));
  std::string nots;
  for (int i = 0; i < 300; ++i) nots += "not ";
  EXPECT_THAT(problem(nots + "true"), HasSubstr("nested deeper"));
  std::string powers = "1";
  for (int i = 0; i < 300; ++i) powers += "^1";
  EXPECT_THAT(problem(powers), HasSubstr("nested deeper"));
  std::string sum = "1";
  for (int i = 0; i < 900; ++i) sum += "+1";
  EXPECT_EQ(value(sum), Value(std::int64_t{901}));
}

// A twin: random expressions in which every step is bracketed, calculated while they are written.
struct Drawn {
  std::string text;
  long double value;  // exact where 64 bits hold every step
};

Drawn draw(Stream& stream, int depth) {
  if (depth == 0) {
    const auto number = static_cast<std::int64_t>(stream.below(2'000'000));
    return {std::to_string(number), static_cast<long double>(number)};
  }
  const Drawn a = draw(stream, depth - 1);
  const Drawn b = draw(stream, static_cast<int>(stream.below(static_cast<std::uint64_t>(depth))));
  switch (stream.below(4)) {
    case 0:
      return {"(" + a.text + " + " + b.text + ")", a.value + b.value};
    case 1:
      return {"(" + a.text + "-" + b.text + ")", a.value - b.value};
    case 2:
      return {"(" + a.text + " * " + b.text + ")", a.value * b.value};
    default:
      return {"min(" + a.text + "," + b.text + ")", a.value < b.value ? a.value : b.value};
  }
}

TEST_F(ExpressionTest, AgreesWithWiderArithmeticOrSaysThatItOverflows) {
  int overflows = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Stream stream(seed, StreamId::starts);
    const Drawn drawn = draw(stream, 3);

    const Evaluation result = evaluate(drawn.text);

    if (result.value) {
      EXPECT_EQ(static_cast<long double>(std::get<std::int64_t>(*result.value)), drawn.value)
          << drawn.text;
    } else {
      ++overflows;
      ASSERT_TRUE(result.error);
      EXPECT_EQ(result.error->what, "the whole number is beyond 64 bits");
    }
  }
  EXPECT_GT(overflows, 10);
  EXPECT_LT(overflows, 1000);
}

TEST_F(ExpressionTest, NeverCrashesOnAnyShortText) {
  static constexpr std::string_view kPieces[] = {
      "width", "1",  "2.5", "'a'", "(",   ")",   ",",    "+",    "-", "*",  "/", "^",  "%",
      "<",     "==", "and", "or",  "not", "if(", "max(", "true", " ", "1e", ".", "\"", "e-"};
  int understood = 0;
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Stream stream(seed, StreamId::starts);
    std::string text;
    for (std::uint64_t n = stream.below(8) + 1; n > 0; --n)
      text += kPieces[stream.below(std::size(kPieces))];
    const Result<Expression> expression = parse(text);
    if (!expression) continue;
    ++understood;
    const Evaluation result = expression->evaluate(scope_);
    EXPECT_TRUE(result.value || result.error) << text;
  }
  EXPECT_GT(understood, 500);
}

}  // namespace
}  // namespace ration::scheduler
