#include "data/split.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/scan.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;

// doc-0.txt … with texts of 100 bytes.
std::vector<Document> documents(int count) {
  std::vector<Document> all;
  for (int i = 0; i < count; ++i) {
    Document document;
    document.source = static_cast<std::uint32_t>(i);
    document.bytes = 100;
    document.name_hash = name_hash(fmt::format("doc-{}.txt", i));
    all.push_back(document);
  }
  return all;
}

std::vector<std::string> paths_with(const std::vector<Document>& all, Use use) {
  std::vector<std::string> paths;
  for (const Document& one : all)
    if (one.use == use) paths.push_back(fmt::format("doc-{}.txt", one.source));
  return paths;
}

// Texts that are equal but for white space are found by it, so it may not depend on where a text is
// cut for counting.
TEST(LayoutFreeHash, IsTheSameForTextsThatDifferInWhiteSpaceAlone) {
  const std::string text = test::invented_text(3, 100'000) + "\xc3\xbc\x01\xff";
  std::string other = "\r\n";
  for (const char c : text) other += c == ' ' ? "\t \v\f" : std::string(1, c);

  EXPECT_EQ(layout_free_hash(other), layout_free_hash(text));
  EXPECT_NE(layout_free_hash(text + "x"), layout_free_hash(text));
  EXPECT_NE(layout_free_hash("ab"), layout_free_hash("ac"));
}

// Values of Python's int.from_bytes(hashlib.sha256(name).digest()[:8], "big").
TEST(NameHash, IsTheBeginningOfTheSha256OfTheName) {
  EXPECT_EQ(name_hash("a.txt"), 1781115419757552629ULL);
  EXPECT_EQ(name_hash("essays/one.md"), 3809462111115774503ULL);
  EXPECT_EQ(name_hash("\xc3\xbc"
                      "ber.txt"),
            13850519394842908693ULL);
  EXPECT_EQ(name_hash("a.txt.gz"), name_hash("a.txt"));
}

// The names with a hash divisible by 50, found with the line of Python above.
TEST(Split, HoldsOutTheDocumentsWhoseHashIsAMultipleOfFifty) {
  std::vector<Document> all = documents(400);

  ASSERT_TRUE(split_documents(all, {}));

  EXPECT_THAT(paths_with(all, Use::val),
              ElementsAre("doc-137.txt", "doc-250.txt", "doc-363.txt", "doc-366.txt"));
  EXPECT_EQ(paths_with(all, Use::train).size(), 396U);
}

TEST(Split, HoldsOutTheLowestHashWhenTheRuleFindsNone) {
  std::vector<Document> all = documents(6);

  ASSERT_TRUE(split_documents(all, {}));

  EXPECT_THAT(paths_with(all, Use::val), ElementsAre("doc-2.txt"));
}

TEST(Split, HoldsOutMoreInTheOrderOfHashesUntilThereIsEnoughText) {
  std::vector<Document> all = documents(6);

  ASSERT_TRUE(split_documents(all, {.min_bytes = 201}));

  EXPECT_THAT(paths_with(all, Use::val), ElementsAre("doc-2.txt", "doc-3.txt", "doc-5.txt"));
}

TEST(Split, MovesNoDocumentWhenTextIsAdded) {
  std::vector<Document> few = documents(200);
  std::vector<Document> many = documents(400);

  ASSERT_TRUE(split_documents(few, {}));
  ASSERT_TRUE(split_documents(many, {}));

  for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].use, many[i].use);
}

// Texts in files, and the documents that a scan finds in them.
class Duplicates : public testing::Test {
 protected:
  std::vector<std::string> left_out() {
    Result<Corpus> corpus =
        scan_text(real_files(), folder_.path(), rules_, {.threads = 2}, ProgressSink());
    EXPECT_TRUE(corpus);
    EXPECT_TRUE(split_documents(corpus->documents, {}));
    const auto found = find_duplicates({real_files(), *corpus, rules_, {.threads = 2}});
    EXPECT_TRUE(found);
    std::vector<std::string> pairs;
    for (const Duplicate& one : *found)
      pairs.push_back(corpus->place(corpus->documents[one.document]) + " = " +
                      corpus->place(corpus->documents[one.held_out]));
    return pairs;
  }

  test::TemporaryFolder folder_;
  TextRules rules_{.min_document_bytes = 1};
};

TEST_F(Duplicates, AreTrainingDocumentsEqualToAHeldOutOne) {
  for (int i = 0; i < 6; ++i)  // doc-2 is held out
    test::write_text(
        folder_.path(), fmt::format("doc-{}.txt", i), fmt::format("text {}\n again", i));
  test::write_text(folder_.path(), "copied.txt", "  text 2 again\n");
  test::write_text(folder_.path(), "twin-a.txt", "the same");
  test::write_text(folder_.path(), "twin-b.txt", "the same");  // repeats within training stay

  EXPECT_THAT(left_out(), ElementsAre("copied.txt = doc-2.txt"));
}

TEST_F(Duplicates, AreNotDocumentsOfTheSameLettersInAnotherOrder) {
  for (int i = 0; i < 6; ++i)
    test::write_text(folder_.path(), fmt::format("doc-{}.txt", i), fmt::format("text {}", i));
  test::write_text(folder_.path(), "anagram.txt", "2 txet");
  test::write_text(folder_.path(), "joined.txt", "te xt2");

  EXPECT_THAT(left_out(), ElementsAre());
}

TEST(Split, NeedsTwoDocumentsAndSomethingToTrainOn) {
  std::vector<Document> one = documents(1);
  std::vector<Document> all_held = documents(6);

  const Result<void> too_few = split_documents(one, {});
  const Result<void> too_much = split_documents(all_held, {.min_bytes = 600});

  for (const Result<void>& result : {too_few, too_much}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::input);
    EXPECT_FALSE(result.error().hint.empty());
  }
}

}  // namespace
}  // namespace ration::data
