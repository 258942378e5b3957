#include "data/filter/minhash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/filter/planted_corpus.h"
#include "data/filter/shingles.h"

namespace ration::test {
namespace {

using namespace data::filter;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Words, AreFoldedComposedAndFreeOfPunctuation) {
  EXPECT_EQ(word_hashes("Hello, World-2!"), word_hashes("hello world 2"));
  EXPECT_EQ(word_hashes("Caf\u00e9 \u00dcBER"), word_hashes("cafe\u0301 u\u0308ber"));
  EXPECT_NE(word_hashes("cafe"), word_hashes("caf\u00e9"));
  EXPECT_EQ(word_hashes("\u03a3\u03bf\u03c6\u03af\u03b1"),
            word_hashes("\u03c3\u03bf\u03c6\u03af\u03b1"));
  EXPECT_EQ(word_hashes("one\u2014two\u00a0three"), word_hashes("one two three"));
  EXPECT_NE(word_hashes("ab c"), word_hashes("a bc"));
}

TEST(Words, AreLettersWhereAScriptPutsNoBlanks) {
  EXPECT_THAT(word_hashes("\u6211\u4eec\u5b66\u4e60"), SizeIs(4));
  EXPECT_THAT(word_hashes("\u0e01\u0e31\u0e19"), SizeIs(2));  // the mark stays with its letter
}

TEST(Words, OfBytesThatAreNoUtf8AreTheBytes) {
  EXPECT_THAT(word_hashes("\xff\xfe ab"), SizeIs(2));
  EXPECT_NE(word_hashes("\xff"), word_hashes("\xfe"));
}

TEST(Words, LongerThanAnyBufferAreToldApart) {
  const std::string longest(1000, 'A');
  EXPECT_EQ(word_hashes(longest), word_hashes(std::string(1000, 'a')));
  EXPECT_NE(word_hashes(longest), word_hashes(longest + "a"));
}

TEST(Shingles, OfAShortTextAreOneAndOfNoWordsNone) {
  EXPECT_THAT(shingles("", 5), IsEmpty());
  EXPECT_THAT(shingles("-- !", 5), IsEmpty());
  EXPECT_THAT(shingles("one two", 5), SizeIs(1));
  EXPECT_THAT(shingles("one two three four five six", 5), SizeIs(2));
  EXPECT_NE(shingles("one two", 5), shingles("two one", 5));
}

TEST(Shingles, DependOnTheirWordsAlone) {
  const std::vector<std::uint64_t> all = shingles("a b c d e f g", 3);
  EXPECT_EQ(all[2], shingles("c d e", 3)[0]);
  EXPECT_EQ(all[4], shingles("e f g", 3)[0]);
}

TEST(Jaccard, CountsCommonShinglesPerShingleOfEither) {
  EXPECT_DOUBLE_EQ(jaccard({1, 2, 3}, {2, 3, 4, 5}), 0.4);
  EXPECT_DOUBLE_EQ(jaccard({1}, {1}), 1);
  EXPECT_DOUBLE_EQ(jaccard({}, {}), 0);
}

// Three digits as tables of locality-sensitive hashing give them.
TEST(Bands, ProposeWithTheKnownProbabilities) {
  const double similarities[] = {.5, .6, .7, .8, .9, .95};
  const double rows9[] = {.027, .132, .438, .867, .999, 1.0};
  const double rows13[] = {.001, .012, .084, .399, .929, .999};
  for (int i = 0; i < 6; ++i) {
    EXPECT_NEAR(candidate_probability(similarities[i], {14, 9}), rows9[i], 6e-4);
    EXPECT_NEAR(candidate_probability(similarities[i], {9, 13}), rows13[i], 6e-4);
  }
  EXPECT_NEAR(candidate_probability(.5, {20, 5}), .470, 6e-4);
  EXPECT_NEAR(candidate_probability(.6, {20, 5}), .802, 6e-4);
  EXPECT_NEAR(candidate_probability(.7, {20, 5}), .975, 6e-4);
}

TEST(Bands, BalancedOnesAreTheKnownOptima) {
  EXPECT_EQ(balanced_bands(.5, 128), (Bands{25, 5}));
  EXPECT_EQ(balanced_bands(.7, 128), (Bands{14, 9}));
  EXPECT_EQ(balanced_bands(.8, 128), (Bands{9, 13}));
  EXPECT_EQ(balanced_bands(.85, 128), (Bands{8, 16}));
  EXPECT_EQ(balanced_bands(.8, 256), (Bands{17, 15}));
}

TEST(Bands, ForARecallReachItWithTheMostRows) {
  for (const double threshold : {.5, .7, .8, .9, 1.0}) {
    const Bands bands = bands_for_recall(threshold, .98, 128);
    EXPECT_GE(candidate_probability(threshold, bands), .98);
    const Bands more{128 / (bands.rows + 1), bands.rows + 1};
    if (bands.rows == 128) continue;
    EXPECT_LT(candidate_probability(threshold, more), .98);
  }
}

// The agreeing share of H independent numbers has the mean s and the variance s (1 - s) / H. A
// family whose functions hang together keeps the mean and fails at the variance.
TEST(MinHash, AgreesAsIndependentFunctionsDo) {
  const int pairs = 2000, hashes = 128;
  const MinHash family(hashes, 1);
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < pairs; ++i) {
    const std::vector<std::string> words = drawn_words(i, 104);
    const auto a = shingle_set(joined(words), 5);
    const auto b = shingle_set(joined(edited(words, i, 5)), 5);
    const double s = jaccard(a, b);
    const auto x = family.signature(a), y = family.signature(b);
    int agree = 0;
    for (std::size_t k = 0; k < x.size(); ++k) agree += x[k] == y[k];
    const double z = (agree - hashes * s) / std::sqrt(hashes * s * (1 - s));
    sum += z;
    squares += z * z;
  }

  EXPECT_NEAR(sum / pairs, 0, 4 / std::sqrt(pairs));            // 4 sd of a mean
  EXPECT_NEAR(squares / pairs, 1, 4 * std::sqrt(2.0 / pairs));  // 4 sd of a variance
}

}  // namespace
}  // namespace ration::test
