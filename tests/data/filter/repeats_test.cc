#include "data/filter/repeats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "data/filter/against.h"
#include "data/filter/planted_corpus.h"
#include "support/temporary_folder.h"

namespace ration::test {
namespace {

using namespace data::filter;
using testing::ElementsAre;
using testing::IsEmpty;

// Marks every byte of every window that stands elsewhere, by a map of all windows.
std::vector<std::string> marked_by_hand(const std::vector<std::string>& texts,
                                        std::size_t length,
                                        bool later_copies_alone) {
  std::map<std::string, int> seen;
  for (const std::string& text : texts)
    for (std::size_t at = 0; at + length <= text.size(); ++at) ++seen[text.substr(at, length)];
  std::map<std::string, int> before;
  std::vector<std::string> marks;
  for (const std::string& text : texts) {
    marks.emplace_back(text.size(), '.');
    for (std::size_t at = 0; at + length <= text.size(); ++at) {
      const std::string window = text.substr(at, length);
      const bool later = before[window]++ > 0;
      if (later_copies_alone ? later : seen[window] > 1)
        std::fill_n(marks.back().begin() + static_cast<std::ptrdiff_t>(at), length, 'x');
    }
  }
  return marks;
}

std::vector<std::string> marked(const std::vector<std::string>& texts, const FilterReport& report) {
  std::vector<std::string> marks;
  for (const std::string& text : texts) marks.emplace_back(text.size(), '.');
  for (const Change& change : report.changes) {
    std::string& mark = marks[change.document];
    if (change.verdict == Verdict::drop) mark.assign(mark.size(), 'x');
    for (const Span& cut : change.cuts)
      std::fill(mark.begin() + static_cast<std::ptrdiff_t>(cut.begin),
                mark.begin() + static_cast<std::ptrdiff_t>(cut.end),
                'x');
  }
  return marks;
}

std::vector<std::string> corpus_with_repeats(std::uint64_t seed) {
  Stream stream(seed, StreamId::bootstrap);
  std::vector<std::string> texts;
  const std::uint64_t documents = 1 + stream.below(8);
  for (std::uint64_t i = 0; i < documents; ++i) {
    std::string text;
    for (std::uint64_t k = 0, pieces = stream.below(6); k < pieces; ++k) {
      if (stream.below(2) == 0 && !texts.empty()) {
        const std::string& from = texts[stream.below(texts.size())];
        text += from.substr(stream.below(from.size() + 1), stream.below(60));
      } else {
        text += random_letters(stream.next(), stream.below(60), 1 + stream.below(4));
      }
    }
    texts.push_back(text);
  }
  return texts;
}

class Repeats : public testing::TestWithParam<RepeatMethod> {};
INSTANTIATE_TEST_SUITE_P(ByMethod,
                         Repeats,
                         testing::Values(RepeatMethod::anchors, RepeatMethod::suffix_array),
                         [](const auto& given) {
                           return given.param == RepeatMethod::anchors ? "Anchors" : "SuffixArray";
                         });

TEST_P(Repeats, InRandomTextsAreThoseOfABruteForceSearch) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const std::vector<std::string> texts = corpus_with_repeats(seed);
    const std::uint64_t length = 16 + seed % 5;
    for (const RepeatAction action : {RepeatAction::first, RepeatAction::cut}) {
      RepeatOptions options;
      options.length = length;
      options.action = action;
      options.method = GetParam();

      const FilterReport report = repeated_substrings(TextDocuments(texts), options, {}).value();

      ASSERT_EQ(marked(texts, report), marked_by_hand(texts, length, action == RepeatAction::first))
          << "seed " << seed;
    }
  }
}

TEST_P(Repeats, PlantedAreFoundExactly) {
  const std::string planted = random_letters(10'000, 120, 26);
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < 400; ++i) {
    std::string text = random_letters(i, 500 + i, 26);
    if (i % 10 == 3) text.insert(i, planted);
    texts.push_back(text);
  }
  RepeatOptions options;
  options.method = GetParam();

  const FilterReport report = repeated_substrings(TextDocuments(texts), options, {}).value();

  ASSERT_EQ(report.changes.size(), 39U);
  for (const Change& change : report.changes) {
    const std::size_t i = change.document;
    EXPECT_EQ(i % 10, 3U);
    EXPECT_EQ(*change.other % 10, 3U);
    EXPECT_LT(*change.other, i);
    // A neighbouring letter may be equal by chance.
    ASSERT_EQ(change.cuts.size(), 1U);
    EXPECT_NEAR(static_cast<double>(change.cuts[0].begin), static_cast<double>(i), 3);
    EXPECT_NEAR(static_cast<double>(change.cuts[0].end), static_cast<double>(i + 120), 3);
  }
}

TEST_P(Repeats, AreDroppedCutOrLeftOnceAsAsked) {
  const std::string shared = random_letters(1, 40, 26);
  const std::vector<std::string> texts = {"one " + shared + " 1", shared + "two", "three", shared};
  RepeatOptions options;
  options.length = 40;
  options.method = GetParam();
  const auto marks = [&](RepeatAction action) {
    options.action = action;
    return marked(texts, repeated_substrings(TextDocuments(texts), options, {}).value());
  };
  const std::string all(40, 'x'), none(40, '.');

  EXPECT_THAT(marks(RepeatAction::first),
              ElementsAre("...." + none + "..", all + "...", ".....", all));
  EXPECT_THAT(marks(RepeatAction::cut),
              ElementsAre("...." + all + "..", all + "...", ".....", all));
  EXPECT_THAT(marks(RepeatAction::drop),
              ElementsAre("xxxx" + all + "xx", all + "xxx", ".....", all));
}

TEST_P(Repeats, NeverReachIntoTheNextDocument) {
  const std::string shared = random_letters(1, 40, 26);
  const std::vector<std::string> texts = {
      shared.substr(0, 20), shared.substr(20), shared.substr(0, 20), shared.substr(20)};
  RepeatOptions options;
  options.length = 30;
  options.method = GetParam();

  EXPECT_THAT(repeated_substrings(TextDocuments(texts), options, {}).value().changes, IsEmpty());
}

TEST_P(Repeats, LeaveOnePeriodOfAPeriodicText) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "abc ";
  RepeatOptions options;
  options.method = GetParam();

  const FilterReport report = repeated_substrings(TextDocuments({text}), options, {}).value();

  ASSERT_EQ(report.changes.size(), 1U);
  EXPECT_THAT(report.changes[0].cuts, ElementsAre(Span{4, 1200}));
}

TEST_P(Repeats, AreCutAtTheBordersOfLetters) {
  // The repeat begins and ends within letters: its first byte ends one, its last byte begins one.
  const std::string core = random_letters(5, 60, 26);
  const std::vector<std::string> texts = {"a\u00e9" + core + "\u00e8z",
                                          "b\u0129" + core + "\u00ebq"};
  RepeatOptions options;
  options.length = 40;
  options.action = RepeatAction::cut;
  options.method = GetParam();

  const FilterReport report = repeated_substrings(TextDocuments(texts), options, {}).value();

  ASSERT_EQ(report.changes.size(), 2U);
  EXPECT_THAT(report.changes[0].cuts, ElementsAre(Span{3, 63}));
  EXPECT_THAT(report.changes[1].cuts, ElementsAre(Span{3, 63}));
}

TEST_P(Repeats, OfNothingAndOfShortDocumentsAreNone) {
  RepeatOptions options;
  options.method = GetParam();
  EXPECT_THAT(repeated_substrings(TextDocuments({}), options, {}).value().changes, IsEmpty());
  EXPECT_THAT(repeated_substrings(TextDocuments({"a", "a", ""}), options, {}).value().changes,
              IsEmpty());
}

TEST(Repeats, AreTheSameByBothMethodsForAnyThreadsAndMemory) {
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    texts.push_back(joined(drawn_words(i, 300 + i % 1000)));
    if (i % 3 == 2) texts.back() += texts[i / 2].substr(i % 50, 400);
    if (i % 7 == 6) texts.back() += std::string(300 + i % 100, '-');
  }
  const TextDocuments source(texts);
  const TemporaryFolder folder;
  RepeatOptions options;
  const FilterReport one = repeated_substrings(source, options, {.threads = 1}).value();
  ASSERT_GT(one.changes.size(), 600U);

  const auto same = [&](const FilterReport& other) {
    ASSERT_EQ(marked(texts, other), marked(texts, one));
    for (std::size_t i = 0; i < one.changes.size(); ++i)
      ASSERT_EQ(other.changes[i].other, one.changes[i].other);
  };
  same(repeated_substrings(source, options, {.threads = 3}).value());
  // 8 MB of text: the copy goes to the scratch folder, the anchors are found in several passes.
  same(repeated_substrings(source, options, {2, 6'500'000, folder.path()}).value());
  options.method = RepeatMethod::suffix_array;
  same(repeated_substrings(source, options, {.threads = 2}).value());
  EXPECT_EQ(repeated_substrings(source, options, {2, 6'500'000, folder.path()}).error().kind,
            ErrorKind::resource);
}

TEST(WholeLetters, CutNoLetterAndAtMostThreeBytesOfWhatIsNoUtf8) {
  const std::string text = "a\u00e9\U0001F600b";  // letters begin at 0, 1, 3, 7
  EXPECT_EQ(whole_letters(text, {0, 8}), (Span{0, 8}));
  EXPECT_EQ(whole_letters(text, {2, 7}), (Span{3, 7}));
  EXPECT_EQ(whole_letters(text, {1, 5}), (Span{1, 3}));
  EXPECT_EQ(whole_letters(text, {4, 6}), (Span{6, 6}));
  const std::string stray(100, '\x80');
  EXPECT_EQ(whole_letters(stray, {10, 90}), (Span{13, 87}));
}

// The same search by a set of all windows of the held-out texts.
TEST(Overlap, InRandomTextsIsThatOfABruteForceSearch) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    std::vector<std::string> texts = corpus_with_repeats(seed), held_out;
    held_out.assign(texts.begin() + static_cast<std::ptrdiff_t>(texts.size() / 2), texts.end());
    texts.resize(texts.size() / 2);
    AgainstOptions options;
    options.length = 16 + seed % 5;
    options.action = OverlapAction::cut;
    std::map<std::string, int> windows;
    for (const std::string& text : held_out)
      for (std::size_t at = 0; at + options.length <= text.size(); ++at)
        windows[text.substr(at, options.length)] = 1;
    std::vector<std::string> expected;
    for (const std::string& text : texts) {
      expected.emplace_back(text.size(), '.');
      for (std::size_t at = 0; at + options.length <= text.size(); ++at)
        if (windows.contains(text.substr(at, options.length)))
          std::fill_n(
              expected.back().begin() + static_cast<std::ptrdiff_t>(at), options.length, 'x');
    }

    const FilterReport report =
        overlap(TextDocuments(texts), TextDocuments(held_out), options, {}).value();

    ASSERT_EQ(marked(texts, report), expected) << "seed " << seed;
  }
}

TEST(Overlap, DropsTheDocumentsThatQuoteAndNamesWhom) {
  const std::string quoted = random_letters(1, 100, 26);
  const TextDocuments source({random_letters(2, 300, 26), "x" + quoted + "y", quoted.substr(1)});
  const TextDocuments held_out({random_letters(3, 300, 26), random_letters(4, 90, 26) + quoted});

  const FilterReport report = overlap(source, held_out, {}, {.threads = 2}).value();

  ASSERT_EQ(report.changes.size(), 1U);
  EXPECT_EQ(report.changes[0].document, 1U);
  EXPECT_EQ(report.changes[0].other, 1U);
  EXPECT_EQ(report.changes[0].value, 100);
  EXPECT_EQ(report.record["reference_sha256"], digest_of(held_out).value());
}

TEST(Overlap, WithNothingIsNone) {
  const TextDocuments some({random_letters(1, 300, 26)});
  EXPECT_THAT(overlap(some, TextDocuments({}), {}, {}).value().changes, IsEmpty());
  EXPECT_THAT(overlap(TextDocuments({}), some, {}, {}).value().changes, IsEmpty());
}

}  // namespace
}  // namespace ration::test
