#include "data/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pool_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;

TEST(SplitStats, CountTokensRepeatsAndLengths) {
  test::TemporaryFolder folder;
  const Manifest manifest = test::write_pool(
      folder.path(), {{97, 97, 256}, {97, 98, 256}, {97, 97, 256}, {97, 98, 99, 100, 256}}, 257);
  const auto pool = TokenPool::open(real_files(), folder.path(), manifest, Split::train);
  ASSERT_TRUE(pool);

  const Result<SplitStats> stats = split_stats(*pool, 257, *byte_tokenizer());

  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->documents, 4);
  EXPECT_EQ(stats->tokens, 14);
  EXPECT_EQ(stats->duplicates, 1);
  EXPECT_EQ(stats->duplicate_tokens, 3);
  EXPECT_EQ(stats->tokens_used, 5);
  EXPECT_EQ(stats->frequent.front().id, 97U);
  EXPECT_EQ(stats->frequent.front().count, 6);
  EXPECT_THAT(stats->length_histogram, ElementsAre(0, 3, 1));
  EXPECT_EQ(stats->lengths.front(), 3);
  EXPECT_EQ(stats->lengths.back(), 5);
  // -sum(c/14 * log2(c/14)) over the counts 6, 4, 2, 1, 1.
  EXPECT_NEAR(stats->entropy_bits, 1.9852281360342516, 1e-12);
}

TEST(SplitStats, SayHowWellTheTextCompresses) {
  test::TemporaryFolder folder;
  std::vector<std::uint32_t> even(10'000, 97);
  even.push_back(256);
  const Manifest manifest = test::write_pool(folder.path(), {even}, 257);
  const auto pool = TokenPool::open(real_files(), folder.path(), manifest, Split::train);

  const Result<SplitStats> stats = split_stats(*pool, 257, *byte_tokenizer());

  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->zlib_sample_bytes, 10'000);
  EXPECT_LT(stats->zlib_ratio, 0.01);
}

}  // namespace
}  // namespace ration::data
