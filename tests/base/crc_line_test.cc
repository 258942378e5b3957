#include "base/crc_line.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace ration {
namespace {

TEST(CrcLine, EndsInTheSumOfWhatStandsBeforeIt) {
  const std::string line = with_crc(R"({"seq":1})");

  EXPECT_EQ(line, R"({"seq":1,"crc":")" + fmt::format("{:08x}", crc32c(R"({"seq":1)")) + R"("})");
  EXPECT_TRUE(check_crc(line));
}

TEST(CrcLine, EveryChangedOrMissingByteIsSeen) {
  const std::string line = with_crc(R"({"seq":1,"loss":3.25})");

  for (std::size_t i = 0; i + 2 < line.size(); ++i) {  // quote and brace are JSON's to check
    std::string damaged = line;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(check_crc(damaged)) << i;
  }
  for (std::size_t length = 0; length < line.size(); ++length)
    EXPECT_FALSE(check_crc(line.substr(0, length))) << length;
}

}  // namespace
}  // namespace ration
