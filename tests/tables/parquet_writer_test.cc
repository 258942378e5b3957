#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/hash.h"
#include "written.h"

namespace ration::tables {
namespace {

std::uint32_t footer_length(const std::string& file) {
  std::uint32_t length = 0;
  std::memcpy(&length, file.data() + file.size() - 8, sizeof length);
  return length;
}

// Every kind of cell, values missing at the beginning, in the middle and at the end.
std::string sample(int rows) {
  std::vector<Row> table;
  for (int i = 0; i < rows; ++i)
    table.push_back({i % 3 == 0 ? Cell() : Cell("run " + std::to_string(i / 1000)),
                     i % 7 == 0 ? Cell() : Cell(std::int64_t{i} * i - 50),
                     i % 5 == 0 ? Cell(NAN)
                     : i == 1   ? Cell(HUGE_VAL)
                                : Cell(i / 8.0)});
  return written(
      Format::parquet, {{"name", Type::text}, {"step", Type::whole}, {"loss", Type::real}}, table);
}

TEST(ParquetWriter, FramesTheFileAsTheFormatAsks) {
  const std::string file = sample(10);

  EXPECT_EQ(file.substr(0, 4), "PAR1");
  EXPECT_EQ(file.substr(file.size() - 4), "PAR1");
  EXPECT_LT(footer_length(file), file.size() - 12);
}

TEST(ParquetWriter, WritesATableWithoutRows) {
  const std::string file = sample(0);

  EXPECT_EQ(file.substr(0, 4), "PAR1");
  EXPECT_EQ(footer_length(file), file.size() - 12);
}

// Files of these digests were read by pyarrow 26.0.1, every cell compared, and by DuckDB 2.0.1, by
// counts and sums.
TEST(ParquetWriter, WritesTheBytesThatOtherReadersHaveUnderstood) {
  EXPECT_EQ(sha256_hex(sample(0)),
            "0f31927a41ad4995b1aaae5b4f42e77c3a9325ff981beec8ffdd59f605f23f34");
  EXPECT_EQ(sha256_hex(sample(10)),
            "9f556dec44fb428972127e0a39548ba9204f0a48b4c80ff60a09703200338626");
  EXPECT_EQ(sha256_hex(sample(1000)),
            "ce281b6d038bf785f7c40bbb4c1df51b026b96514a1ec554df04157549657cde");
  EXPECT_EQ(sha256_hex(sample(200'000)),
            "aabfa9a3829194f6216aa4628d17cbedcc9193f2ac48cc0e15761220330dd89e");
}

TEST(ParquetWriter, KeepsRepeatedTextsOnce) {
  std::vector<Row> rows(50'000, {std::string(32, 'a')});
  EXPECT_LT(written(Format::parquet, {{"run", Type::text}}, rows).size(), 400U);
}

}  // namespace
}  // namespace ration::tables
