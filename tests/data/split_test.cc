#include "data/split.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace ration::data {
namespace {

using testing::ElementsAre;

Document document(const std::string& path, const std::string& text) {
  return {.source = {.path = path, .bytes = text.size(), .sha256 = sha256_hex(text), .use = ""},
          .normalised_digest = sha256_hex(text)};
}

// doc-0.txt … with texts of 100 bytes that differ.
std::vector<Document> documents(int count) {
  std::vector<Document> all;
  for (int i = 0; i < count; ++i)
    all.push_back(document(fmt::format("doc-{}.txt", i), fmt::format("{:>100}", i)));
  return all;
}

std::vector<std::string> paths_with(const std::vector<Document>& all, const std::string& use) {
  std::vector<std::string> paths;
  for (const Document& one : all)
    if (one.source.use == use) paths.push_back(one.source.path);
  return paths;
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

  EXPECT_THAT(paths_with(all, "val"),
              ElementsAre("doc-137.txt", "doc-250.txt", "doc-363.txt", "doc-366.txt"));
  EXPECT_EQ(paths_with(all, "train").size(), 396U);
}

TEST(Split, HoldsOutTheLowestHashWhenTheRuleFindsNone) {
  std::vector<Document> all = documents(6);

  ASSERT_TRUE(split_documents(all, {}));

  EXPECT_THAT(paths_with(all, "val"), ElementsAre("doc-2.txt"));
}

TEST(Split, HoldsOutMoreInTheOrderOfHashesUntilThereIsEnoughText) {
  std::vector<Document> all = documents(6);

  ASSERT_TRUE(split_documents(all, {.min_bytes = 201}));

  EXPECT_THAT(paths_with(all, "val"), ElementsAre("doc-2.txt", "doc-3.txt", "doc-5.txt"));
}

TEST(Split, MovesNoDocumentWhenTextIsAdded) {
  std::vector<Document> few = documents(200);
  std::vector<Document> many = documents(400);

  ASSERT_TRUE(split_documents(few, {}));
  ASSERT_TRUE(split_documents(many, {}));

  for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].source, many[i].source);
}

TEST(Split, LeavesOutTrainingDocumentsEqualToAHeldOutOne) {
  std::vector<Document> all = documents(6);  // doc-2 is held out
  all.push_back(document("copied.txt", fmt::format("{:>100}", 2)));
  all.push_back(document("twin-a.txt", "the same"));
  all.push_back(document("twin-b.txt", "the same"));  // repeats within training stay

  ASSERT_TRUE(split_documents(all, {}));

  EXPECT_THAT(paths_with(all, "duplicate"), ElementsAre("copied.txt"));
  EXPECT_EQ(paths_with(all, "train").size(), 7U);
}

TEST(Split, NeedsTwoDocumentsAndSomethingToTrainOn) {
  std::vector<Document> one = documents(1);
  std::vector<Document> all_held = documents(6);
  std::vector<Document> copies = {document("a", "x"), document("b", "x"), document("c", "x")};

  const Result<void> too_few = split_documents(one, {});
  const Result<void> too_much = split_documents(all_held, {.min_bytes = 600});
  const Result<void> only_copies = split_documents(copies, {});

  for (const Result<void>& result : {too_few, too_much, only_copies}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::input);
    EXPECT_FALSE(result.error().hint.empty());
  }
}

}  // namespace
}  // namespace ration::data
