#include "data/shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "data/pool_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::HasSubstr;

// Documents of 1 … 20 tokens; every token of the pool has a number of its own.
test::Documents numbered_documents(std::uint32_t count) {
  Stream lengths(3, StreamId::bootstrap);
  test::Documents documents(count);
  std::uint32_t next = 0;
  for (auto& document : documents) {
    document.resize(1 + lengths.below(20));
    for (std::uint32_t& token : document) token = next++;
  }
  return documents;
}

std::string open_error(const Path& folder, const Manifest& manifest) {
  const Result<TokenPool> pool = TokenPool::open(real_files(), folder, manifest, Split::train);
  return pool ? "" : pool.error().what;
}

TEST(TokenPool, ReadsTwoByteAndFourByteTokens) {
  for (const std::int64_t vocab : {65535, 65536}) {
    test::TemporaryFolder folder;
    const auto top = static_cast<std::uint32_t>(vocab - 1);
    const Manifest manifest = test::write_pool(folder.path(), {{1, 2, top}, {top, 0}}, vocab);

    const TokenPool pool = test::open_train_pool(folder.path());

    std::vector<std::int32_t> tokens(4);
    pool.copy(1, tokens);
    const auto expected = static_cast<std::int32_t>(top);
    EXPECT_THAT(tokens, testing::ElementsAre(2, expected, expected, 0));
    EXPECT_THAT(pool.document_starts(), testing::ElementsAre(0, 3, 5));
    EXPECT_EQ(*real_files().size(folder / "train.tokens"),
              static_cast<std::uint64_t>(5 * manifest.token_bytes()));
    EXPECT_TRUE(pool.verify());
  }
}

TEST(TokenPool, RefusesAFileThatIsMissingOrShort) {
  test::TemporaryFolder folder;
  const Manifest manifest = test::write_pool(folder.path(), {{1, 2, 3}}, 10);

  ASSERT_TRUE(real_files().truncate(folder / "train.tokens", 5));
  EXPECT_THAT(open_error(folder.path(), manifest),
              testing::AllOf(HasSubstr("train.tokens has 5 bytes"), HasSubstr("says 6")));

  ASSERT_TRUE(real_files().remove_all(folder / "train.tokens"));
  EXPECT_THAT(open_error(folder.path(), manifest), HasSubstr("train.tokens"));
}

TEST(TokenPool, RefusesDocumentStartsThatDoNotAscend) {
  test::TemporaryFolder folder;
  const Manifest manifest = test::write_pool(folder.path(), {{1}, {2}, {3}}, 10);
  std::string starts = *real_files().read(folder / "train.docs");
  std::swap(starts[8], starts[16]);
  ASSERT_TRUE(real_files().write_whole(folder / "train.docs", starts));

  EXPECT_THAT(open_error(folder.path(), manifest), HasSubstr("document starts"));
}

TEST(TokenPool, VerifyFindsOneChangedByte) {
  for (const char* name : {"train.tokens", "train.docs"}) {
    test::TemporaryFolder folder;
    test::write_pool(folder.path(), {{1, 2, 3}, {4, 5, 6}}, 10);
    std::string bytes = *real_files().read(folder / name);
    bytes[8] = static_cast<char>(bytes[8] ^ 1);  // the second document's start stays in order
    ASSERT_TRUE(real_files().write_whole(folder / name, bytes));

    const Result<void> verified = test::open_train_pool(folder.path()).verify();

    ASSERT_FALSE(verified) << name;
    EXPECT_EQ(verified.error().kind, ErrorKind::input);
    EXPECT_THAT(verified.error().what, HasSubstr(name));
  }
}

TEST(UniqueSubset, OfFewerTokensIsTheBeginningOfALargerOne) {
  test::TemporaryFolder folder;
  test::write_pool(folder.path(), numbered_documents(60), 70000);
  const TokenPool pool = test::open_train_pool(folder.path());

  for (const std::uint64_t seed : {0U, 1U, 77U}) {
    const std::vector<std::int32_t> whole = *unique_subset(pool, 0, seed);
    for (std::int64_t tokens = 1; tokens < pool.tokens(); ++tokens) {
      const std::vector<std::int32_t> subset = *unique_subset(pool, tokens, seed);
      ASSERT_EQ(subset.size(), static_cast<std::size_t>(tokens) + 1);
      ASSERT_TRUE(std::equal(subset.begin(), subset.end(), whole.begin()));
    }
  }
}

TEST(UniqueSubset, KeepsDocumentsWholeExceptTheLast) {
  const test::Documents documents = numbered_documents(60);
  test::TemporaryFolder folder;
  test::write_pool(folder.path(), documents, 70000);
  const TokenPool pool = test::open_train_pool(folder.path());

  const std::vector<std::int32_t> subset = *unique_subset(pool, 200, 4);

  const std::span<const std::uint64_t> starts = pool.document_starts();
  std::size_t at = 0;
  while (at < subset.size()) {
    const auto first = static_cast<std::uint64_t>(subset[at]);  // a token's number is its place
    const auto document = std::find(starts.begin(), starts.end(), first);
    ASSERT_NE(document, starts.end()) << "a document is entered in its middle";
    for (std::uint64_t token = first; token < document[1] && at < subset.size(); ++token, ++at)
      ASSERT_EQ(subset[at], static_cast<std::int32_t>(token));
  }
}

TEST(UniqueSubset, OfTheWholePoolHoldsEveryTokenOnce) {
  test::TemporaryFolder folder;
  test::write_pool(folder.path(), numbered_documents(40), 70000);
  const TokenPool pool = test::open_train_pool(folder.path());

  const std::vector<std::int32_t> whole = *unique_subset(pool, 0, 9);

  EXPECT_EQ(std::set<std::int32_t>(whole.begin(), whole.end()).size(),
            static_cast<std::size_t>(pool.tokens()));
}

TEST(UniqueSubset, NamesBothNumbersWhenThePoolIsTooSmall) {
  test::TemporaryFolder folder;
  test::write_pool(folder.path(), {{1, 2, 3}, {4}}, 10);
  const TokenPool pool = test::open_train_pool(folder.path());

  EXPECT_EQ(unique_subset(pool, 3, 0)->size(), 4U);
  const auto too_many = unique_subset(pool, 4, 0);

  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind, ErrorKind::input);
  EXPECT_THAT(too_many.error().what, testing::AllOf(HasSubstr("4 unique"), HasSubstr("most 3")));
}

TEST(UsableTokens, CountsWholeWindowsThatHaveTheirLastTarget) {
  EXPECT_EQ(usable_tokens(0, 8), 0);
  EXPECT_EQ(usable_tokens(8, 8), 0);
  EXPECT_EQ(usable_tokens(9, 8), 8);
  EXPECT_EQ(usable_tokens(16, 8), 8);
  EXPECT_EQ(usable_tokens(17, 8), 16);
}

}  // namespace
}  // namespace ration::data
