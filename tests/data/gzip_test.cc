#include "data/gzip.h"

#include <gtest/gtest.h>

#include "data/gzip_builder.h"

namespace ration::data {
namespace {

constexpr std::size_t kNoLimit = std::size_t{1} << 30;

TEST(Gunzip, GivesBackTheTextOfAllMembers) {
  const std::string large(3'000'000, 'x');
  const std::string file = test::gzip("one\n") + test::gzip(large) + test::gzip("");

  const Gunzipped text = gunzip(file, kNoLimit);

  EXPECT_EQ(text.problem, GunzipProblem::none);
  EXPECT_EQ(text.bytes, "one\n" + large);
}

TEST(Gunzip, IgnoresWhatFollowsTheLastMember) {
  const Gunzipped text = gunzip(test::gzip("text") + std::string(64, '\0'), kNoLimit);

  EXPECT_EQ(text.problem, GunzipProblem::none);
  EXPECT_EQ(text.bytes, "text");
}

TEST(Gunzip, FindsEveryTruncation) {
  const std::string file = test::gzip("a text of some words, cut short at any byte");

  for (std::size_t size = 2; size < file.size(); ++size)
    EXPECT_EQ(gunzip(file.substr(0, size), kNoLimit).problem, GunzipProblem::damaged) << size;
}

TEST(Gunzip, FindsAChangedByteByTheChecksum) {
  std::string file = test::gzip(std::string(1000, 'a') + "b");
  file[file.size() - 6] = static_cast<char>(file[file.size() - 6] ^ 1);  // within the CRC

  EXPECT_EQ(gunzip(file, kNoLimit).problem, GunzipProblem::damaged);
}

TEST(Gunzip, StopsAtTheLimitBeforeTheMemoryIsFull) {
  const std::string bomb = test::gzip(std::string(50'000'000, '\n'));

  const Gunzipped text = gunzip(bomb, 1'000'000);

  EXPECT_EQ(text.problem, GunzipProblem::too_large);
  EXPECT_LT(text.bytes.size(), 2'000'000U);
}

}  // namespace
}  // namespace ration::data
