#include <gmock/gmock.h>

#include <cmath>

#include "base/json.h"
#include "written.h"

namespace ration::tables {
namespace {

const std::vector<Column> kColumns = {
    {"name", Type::text}, {"step", Type::whole}, {"loss", Type::real}};

TEST(CsvWriter, QuotesWhatNeedsQuotesAndLeavesNothingForNoValue) {
  EXPECT_EQ(written(Format::csv,
                    kColumns,
                    {{"plain", std::int64_t{-3}, 2.5},
                     {"a,b \"c\"", Cell(), Cell()},
                     {"two\nlines", std::int64_t{0}, 1e21}}),
            "name,step,loss\n"
            "plain,-3,2.5\n"
            "\"a,b \"\"c\"\"\",,\n"
            "\"two\nlines\",0,1e+21\n");
}

TEST(CsvWriter, GivesSpreadsheetsNoFormulaToCalculate) {
  const std::string text =
      written(Format::csv,
              {{"text", Type::text}, {"number", Type::real}},
              {{"=HYPERLINK(1)", -1.0}, {"+1", 0.0}, {"-1", 0.0}, {"@SUM(A1)", 0.0}});

  EXPECT_EQ(text, "text,number\n'=HYPERLINK(1),-1\n'+1,0\n'-1,0\n'@SUM(A1),0\n");
}

TEST(JsonlWriter, WritesOneObjectALine) {
  EXPECT_EQ(
      written(Format::jsonl,
              kColumns,
              {{"say \"x\"", std::int64_t{7}, 0.1}, {"", Cell(), HUGE_VAL}, {"n", Cell(), NAN}}),
      "{\"name\":\"say \\\"x\\\"\",\"step\":7,\"loss\":0.1}\n"
      "{\"name\":\"\",\"step\":null,\"loss\":\"inf\"}\n"
      "{\"name\":\"n\",\"step\":null,\"loss\":null}\n");
}

TEST(JsonlWriter, WritesNumbersThatReadBackTheSame) {
  for (const double value : {0.1, 1e-300, 1.0 / 3, 123456789.123456789}) {
    const std::string line = written(Format::jsonl, {{"x", Type::real}}, {{value}});
    EXPECT_EQ(Json::parse(line)["x"].get<double>(), value);
  }
}

TEST(TextWriters, HandOnLongTablesInPieces) {
  std::size_t pieces = 0;
  std::size_t largest = 0;
  const auto writer = make_writer(Format::csv, {{"text", Type::text}}, [&](std::string_view bytes) {
    ++pieces;
    largest = std::max(largest, bytes.size());
    return Result<void>();
  });
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(writer->add({std::string(1000, 'x')}));
  ASSERT_TRUE(writer->finish());

  EXPECT_GT(pieces, 4U);
  EXPECT_LT(largest, 2U << 20);
}

TEST(TextWriters, EndWithTheErrorOfTheirOutput) {
  const auto writer = make_writer(Format::csv, kColumns, [](std::string_view) {
    return Result<void>(Error{.kind = ErrorKind::resource, .what = "full"});
  });
  const Result<void> done = writer->finish();

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "full");
}

}  // namespace
}  // namespace ration::tables
