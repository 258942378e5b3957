#include "data/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "data/pool_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::HasSubstr;

Manifest example(const Path& folder) {
  Manifest manifest = test::write_pool(folder, {{1, 2}, {3}}, 10);
  manifest.provenance = {{"notes", {{"licence", "CC0"}}}};
  manifest.sources = {
      {.path = "a/b.txt", .bytes = 300, .sha256 = std::string(64, 'a'), .use = "val"}};
  return manifest;
}

// The error of a manifest in which `change` was made to the JSON.
std::string error_after(const std::function<void(Json&)>& change) {
  test::TemporaryFolder folder;
  example(folder.path());
  Json document = *parse_json(*real_files().read(folder / "manifest.json"), "");
  change(document);
  if (!real_files().write_whole(folder / "manifest.json", document.dump())) return "cannot write";
  const Result<Manifest> manifest = read_manifest(real_files(), folder.path());
  if (manifest) return "";
  EXPECT_EQ(manifest.error().kind, ErrorKind::input);
  return manifest.error().describe();
}

TEST(Manifest, ReadsBackWhatWasWritten) {
  test::TemporaryFolder folder;
  const Manifest written = example(folder.path());
  ASSERT_TRUE(real_files().write_whole(folder / "manifest.json", *manifest_text(written)));

  const Result<Manifest> read = read_manifest(real_files(), folder.path());

  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->train, written.train);
  EXPECT_EQ(read->val, written.val);
  EXPECT_EQ(read->sources, written.sources);
  EXPECT_EQ(read->provenance, written.provenance);
  EXPECT_EQ(*manifest_text(*read), *manifest_text(written));
}

TEST(Manifest, IsCanonicalJsonWhateverItsFilesAreCalled) {
  test::TemporaryFolder folder;
  Manifest manifest = example(folder.path());
  manifest.documents_sha256 = std::string(64, 'd');
  manifest.provenance["filters"] = {{"sources", Json::array()}};
  manifest.sources.push_back({.path = "a \"quoted\" \xc3\xbc\n.jsonl",
                              .bytes = 1,
                              .sha256 = std::string(64, 'b'),
                              .documents = {{"val", 2}, {"train", 1}}});

  for (const std::size_t files : {2U, 1U, 0U}) {
    manifest.sources.resize(files);
    const std::string text = *manifest_text(manifest);
    const Json document = *parse_json(text, "manifest.json");

    EXPECT_EQ(text, *canonical_json(document) + "\n");
    ASSERT_EQ(document["sources"].size(), files);
    for (std::size_t i = 0; i < files; ++i)
      EXPECT_EQ(document["sources"][i]["path"], manifest.sources[i].path);
  }
}

TEST(Manifest, DigestCoversTokensButNoPathsOrNotes) {
  test::TemporaryFolder folder;
  const Manifest first = example(folder.path());

  Manifest moved = first;
  moved.sources[0].path = "elsewhere.txt";
  moved.provenance = Json::object();
  moved.tokenizer = "model";
  EXPECT_EQ(manifest_digest(moved), manifest_digest(first));

  Manifest other = first;
  other.train.tokens_sha256 = std::string(64, 'b');
  EXPECT_NE(manifest_digest(other), manifest_digest(first));
}

TEST(Manifest, ReportsAllProblemsAtOnce) {
  const std::string error = error_after([](Json& document) {
    document.erase("vocab");
    document["train"]["tokens"] = -3;
    document["val"]["docs_sha256"] = "short";
    document["sources"] = 7;
  });

  EXPECT_THAT(error, HasSubstr("vocab is missing"));
  EXPECT_THAT(error, HasSubstr("train.tokens is not a whole number"));
  EXPECT_THAT(error, testing::Not(HasSubstr("end_token"))) << "no problem of its own";
  EXPECT_THAT(error, HasSubstr("val.docs_sha256 is not a SHA-256"));
  EXPECT_THAT(error, HasSubstr("sources is not an array"));
}

TEST(Manifest, RefusesNumbersThatDoNotFit) {
  EXPECT_THAT(error_after([](Json& d) { d["train"]["tokens"] = 18446744073709551615ULL; }),
              HasSubstr("train.tokens"));
  EXPECT_THAT(error_after([](Json& d) { d["vocab"] = 2.5; }), HasSubstr("vocab"));
  EXPECT_THAT(error_after([](Json& d) { d["end_token"] = d["vocab"]; }), HasSubstr("end_token"));
}

TEST(Manifest, RefusesContentsThatDoNotBelongToTheDigest) {
  EXPECT_THAT(error_after([](Json& d) { d["train_text_bytes"] = 999; }), HasSubstr("digest"));
}

TEST(Manifest, RefusesAnotherSchemaAndOtherJson) {
  EXPECT_THAT(error_after([](Json& d) { d["schema"] = "ration.manifest/9"; }), HasSubstr("schema"));
  EXPECT_THAT(error_after([](Json& d) { d = Json::array(); }), HasSubstr("is missing"));
}

TEST(Manifest, NamesThePlaceOfAMistakeInTheJson) {
  test::TemporaryFolder folder;
  ASSERT_TRUE(real_files().write_whole(folder / "manifest.json", "{\"vocab\": }"));

  const Result<Manifest> manifest = read_manifest(real_files(), folder.path());

  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().describe(), HasSubstr("manifest.json:1:11"));
}

TEST(Manifest, SaysHowToPrepareAFolderThatHoldsNone) {
  test::TemporaryFolder folder;

  const Result<Manifest> manifest = read_manifest(real_files(), folder.path());

  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().hint, HasSubstr("ration data prepare"));
}

}  // namespace
}  // namespace ration::data
