#include "data/filter/near.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/filter/planted_corpus.h"
#include "data/filter/shingles.h"
#include "support/temporary_folder.h"

namespace ration::test {
namespace {

using namespace data::filter;
using testing::ElementsAre;
using testing::IsEmpty;

// Documents 2 i and 2 i + 1 are a near copy of each other; edits give a similarity of 0.6 … 0.95.
struct Pairs {
  std::vector<std::string> texts;
  std::vector<double> similarity;
};
Pairs planted_pairs(std::size_t count) {
  Pairs pairs;
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<std::string> words = drawn_words(i, 204);
    pairs.texts.push_back(joined(words));
    pairs.texts.push_back(joined(edited(words, i, 1 + i % 11)));
    pairs.similarity.push_back(
        jaccard(shingle_set(pairs.texts[2 * i], 5), shingle_set(pairs.texts[2 * i + 1], 5)));
  }
  return pairs;
}

TEST(NearDuplicates, AreFoundAsOftenAsTheFormulaSays) {
  const Pairs pairs = planted_pairs(3000);
  const TextDocuments source(pairs.texts);
  NearOptions options;
  options.threshold = 0.5;
  options.bands = Bands{14, 9};  // steep between 0.6 and 0.9

  const FilterReport report = near_duplicates(source, options, {}).value();

  std::vector<char> found(pairs.similarity.size());
  for (const Change& change : report.changes) {
    ASSERT_EQ(change.document % 2, 1U);  // precision is 1
    ASSERT_EQ(change.other, change.document - 1);
    found[change.document / 2] = 1;
  }
  for (const double low : {.55, .65, .75, .85}) {
    double expected = 0, variance = 0, seen = 0, count = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (pairs.similarity[i] < low || pairs.similarity[i] >= low + .1) continue;
      const double p = candidate_probability(pairs.similarity[i], *options.bands);
      expected += p;
      variance += p * (1 - p);
      seen += found[i];
      ++count;
    }
    EXPECT_GT(count, 200) << low;
    EXPECT_NEAR(seen, expected, 3 * std::sqrt(variance)) << low;
  }
}

TEST(NearDuplicates, BelowTheThresholdStay) {
  const Pairs pairs = planted_pairs(500);
  const TextDocuments source(pairs.texts);

  const FilterReport report = near_duplicates(source, {}, {}).value();

  std::size_t similar = 0, found = 0;
  for (const double s : pairs.similarity) similar += s >= 0.8;
  for (const Change& change : report.changes) {
    EXPECT_GE(change.value, 0.8);
    EXPECT_DOUBLE_EQ(change.value, pairs.similarity[change.document / 2]);
    ++found;
  }
  EXPECT_GE(static_cast<double>(found), 0.96 * static_cast<double>(similar));  // recall is 0.98
}

TEST(NearDuplicates, AreTheSameForAnyThreadsAndMemory) {
  const Pairs pairs = planted_pairs(1500);
  const TextDocuments source(pairs.texts);
  const TemporaryFolder folder;
  const FilterReport one = near_duplicates(source, {}, {.threads = 1}).value();

  // Bands of 3,000 documents take 0.4 MB, a band at a time 0.1 MB.
  for (const Resources& resources :
       {Resources{3, std::uint64_t{4} << 30, {}}, Resources{2, 400'000, folder.path()}}) {
    const FilterReport other = near_duplicates(source, {}, resources).value();
    ASSERT_EQ(other.changes.size(), one.changes.size());
    for (std::size_t i = 0; i < one.changes.size(); ++i) {
      EXPECT_EQ(other.changes[i].document, one.changes[i].document);
      EXPECT_EQ(other.changes[i].other, one.changes[i].other);
      EXPECT_EQ(other.changes[i].value, one.changes[i].value);
    }
    EXPECT_EQ(other.record, one.record);
  }
  EXPECT_THAT(real_files().list(folder.path()).value(), IsEmpty());
}

TEST(NearDuplicates, InMuchTooLittleMemoryAreAnErrorThatSaysHowMuch) {
  const TextDocuments source(planted_pairs(500).texts);

  const Error error = near_duplicates(source, {}, {0, 10'000, {}}).error();

  EXPECT_EQ(error.kind, ErrorKind::resource);
  EXPECT_THAT(error.what, testing::HasSubstr("needs"));
}

TEST(NearDuplicates, JoinOverOthersAndTheFirstStays) {
  const std::vector<std::string> words = drawn_words(1, 204);
  const std::vector<std::string> once = edited(words, 1, 3), twice = edited(once, 2, 3);
  const TextDocuments source({joined(twice), joined(words), joined(once)});

  const FilterReport report = near_duplicates(source, {}, {}).value();

  ASSERT_EQ(report.changes.size(), 2U);
  EXPECT_EQ(report.changes[0].document, 1U);
  EXPECT_EQ(report.changes[1].document, 2U);
  EXPECT_EQ(report.changes[0].other, 0U);
  EXPECT_LT(report.changes[0].value, 0.8);  // similar to the third alone
  EXPECT_EQ(report.figures["dropped_below_threshold_of_kept"], 1);
}

TEST(NearDuplicates, InACrowdAreStillFoundAndCounted) {
  const std::vector<std::string> words = drawn_words(1, 104);
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < 50; ++i) texts.push_back(joined(edited(words, i, 1)));
  NearOptions options;
  options.bucket_limit = 10;

  const FilterReport report = near_duplicates(TextDocuments(texts), options, {}).value();

  EXPECT_EQ(report.documents_after, 1U);
  EXPECT_GT(report.figures["shared_bands_above_limit"], 0);
}

TEST(NearDuplicates, OfNothingOneAndWordlessDocumentsAreNone) {
  EXPECT_THAT(near_duplicates(TextDocuments({}), {}, {}).value().changes, IsEmpty());
  EXPECT_THAT(near_duplicates(TextDocuments({"a b"}), {}, {}).value().changes, IsEmpty());
  EXPECT_THAT(near_duplicates(TextDocuments({"", "--", "...", "--"}), {}, {}).value().changes,
              IsEmpty());
}

TEST(NearDuplicates, ShorterThanAShingleAreComparedWhole) {
  const FilterReport report =
      near_duplicates(TextDocuments({"One two.", "one  TWO", "one three"}), {}, {}).value();

  ASSERT_EQ(report.changes.size(), 1U);
  EXPECT_EQ(report.changes[0].document, 1U);
}

TEST(NearOptions, OutOfRangeAreAllNamed) {
  NearOptions options;
  options.threshold = 0;
  options.hashes = 100;
  options.recall = 1;

  EXPECT_EQ(check(options).size(), 3U);
  EXPECT_EQ(near_duplicates(TextDocuments({}), options, {}).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace ration::test
