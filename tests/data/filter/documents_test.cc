#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "data/filter/exact.h"
#include "data/filter/planted_corpus.h"
#include "data/filter/texts.h"
#include "support/temporary_folder.h"

namespace ration::test {
namespace {

using namespace data::filter;
using testing::ElementsAre;
using testing::IsEmpty;

std::string text_of(const DocumentSource& source, std::size_t document) {
  std::string buffer;
  return std::string(source.text(document, buffer).value());
}

std::vector<std::size_t> changed(const FilterReport& report) {
  std::vector<std::size_t> out;
  for (const Change& change : report.changes) out.push_back(change.document);
  return out;
}

TEST(RemainingDocuments, LeaveOutWhatWasDroppedAndCut) {
  const TextDocuments source({"zero", "one two three", "four"}, {"a", "b", "c"});
  RemainingDocuments left(source);

  left.cut(1, {{3, 7}});
  left.drop({0});

  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(text_of(left, 0), "one three");
  EXPECT_EQ(left.bytes(0), 9U);
  EXPECT_EQ(left.id(0), 1U);
  EXPECT_EQ(left.origin(1), "c");
}

TEST(RemainingDocuments, ManyCutsLeaveWhatOneCutOfAllOfThemLeaves) {
  Stream stream(3, StreamId::bootstrap);
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_letters(static_cast<std::uint64_t>(round), 60, 26);
    const TextDocuments source({text});
    RemainingDocuments left(source);
    std::string expected = text;
    for (int k = 0; k < 3; ++k) {
      const std::size_t begin = stream.below(expected.size() + 1);
      const std::size_t count = stream.below(expected.size() - begin + 1);
      left.cut(0, {{begin, begin + count}});
      expected.erase(begin, count);
    }

    EXPECT_EQ(text_of(left, 0), expected);
    std::string from_source = text;
    for (auto cut = left.cuts(0).rbegin(); cut != left.cuts(0).rend(); ++cut)
      from_source.erase(cut->begin, cut->end - cut->begin);
    EXPECT_EQ(from_source, expected);
  }
}

TEST(WholeText, IsTheSameInMemoryAndInTheScratchFolder) {
  const TemporaryFolder folder;
  const TextDocuments source({"first", "", "second"});

  const WholeText memory = WholeText::of(source, {}, 1 << 20).value();
  const WholeText file = WholeText::of(source, folder.path(), 3).value();

  EXPECT_EQ(memory.text(), "firstsecond");
  EXPECT_EQ(file.text(), "firstsecond");
  EXPECT_EQ(file.document_at(4), 0U);
  EXPECT_EQ(file.document_at(5), 2U);
  EXPECT_THAT(real_files().list(folder.path()).value(), IsEmpty());
  EXPECT_EQ(WholeText::of(source, {}, 3).error().kind, ErrorKind::resource);
}

TEST(WholeText, OfADocumentThatChangesMeanwhileIsAnError) {
  struct Changing final : DocumentSource {
    std::size_t size() const override { return 1; }
    std::uint64_t bytes(std::size_t) const override { return 5; }
    Result<std::string_view> text(std::size_t, std::string&) const override {
      return std::string_view("longer");
    }
  };

  EXPECT_EQ(WholeText::of(Changing(), {}, 1 << 20).error().kind, ErrorKind::input);
  EXPECT_EQ(exact_duplicates(Changing(), {}).error().kind, ErrorKind::input);
}

TEST(ExactDuplicates, AreDroppedButForTheFirst) {
  const TextDocuments source({"a b", "c", "a  b\n", "c", "a b c", "c"});

  const FilterReport report = exact_duplicates(source, {}).value();

  EXPECT_THAT(changed(report), ElementsAre(2, 3, 5));
  EXPECT_EQ(report.changes[0].other, 0U);
  EXPECT_EQ(report.changes[2].other, 1U);
  EXPECT_EQ(report.documents_after, 3U);
  EXPECT_EQ(report.bytes_after, 9U);
}

TEST(ExactDuplicates, AreFoundWithoutExceptionAmongPlantedOnes) {
  std::vector<std::string> texts;
  std::vector<std::size_t> planted;
  for (std::size_t i = 0; i < 2000; ++i) {
    if (i % 10 == 9) planted.push_back(i);
    texts.push_back(i % 10 == 9 ? texts[i / 2 / 10 * 10] : joined(drawn_words(i, 40)));
  }
  const TextDocuments source(texts);

  for (const int threads : {1, 3})
    EXPECT_EQ(changed(exact_duplicates(source, {.threads = threads}).value()), planted);
}

TEST(ExactDuplicates, OfNothingAndOfOneDocumentAreNone) {
  EXPECT_THAT(exact_duplicates(TextDocuments({}), {}).value().changes, IsEmpty());
  EXPECT_THAT(exact_duplicates(TextDocuments({"a"}), {}).value().changes, IsEmpty());
}

}  // namespace
}  // namespace ration::test
