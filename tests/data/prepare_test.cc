#include "data/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "data/gzip_builder.h"
#include "data/shards.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::HasSubstr;

class Prepare : public testing::Test {
 protected:
  Prepare() { test::write_documents(text_, 60); }

  Result<Preparation> prepare(const PrepareOptions& options = {}, const std::string& out = "data") {
    return data::prepare(real_files(), system_clock(), text_, folder_ / out, options);
  }

  Manifest prepared(const PrepareOptions& options = {}, const std::string& out = "data") {
    Result<Preparation> made = prepare(options, out);
    EXPECT_TRUE(made) << made.error().describe();
    return made ? made->manifest : Manifest{};
  }

  std::string contents(const std::string& path) {
    return real_files().read(folder_ / path).value_or("");
  }

  // Every file of a folder of prepared data, in one string.
  std::string all_bytes(const std::string& out) {
    std::string bytes;
    for (const std::string& name : real_files().list(folder_ / out).value_or({}))
      bytes += name + "\n" + contents(out + "/" + name) + "\n";
    return bytes;
  }

  // Tokens of one document of a split.
  std::vector<std::int32_t> document(const Manifest& manifest, Split split, std::size_t index) {
    const TokenPool pool = *TokenPool::open(real_files(), folder_ / "data", manifest, split);
    const auto starts = pool.document_starts();
    std::vector<std::int32_t> tokens(starts[index + 1] - starts[index]);
    pool.copy(static_cast<std::int64_t>(starts[index]), tokens);
    return tokens;
  }

  test::TemporaryFolder folder_;
  Path text_ = folder_ / "text";
};

TEST_F(Prepare, WritesEveryDocumentByteForByteWithAnEndToken) {
  const Manifest manifest = prepared();

  EXPECT_EQ(manifest.train.documents + manifest.val.documents, 60);
  std::size_t train_index = 0;
  std::size_t val_index = 0;
  for (const SourceFile& source : manifest.sources) {
    const bool held_out = source.use == "val";
    std::vector<std::int32_t> tokens = document(
        manifest, held_out ? Split::val : Split::train, held_out ? val_index++ : train_index++);
    ASSERT_EQ(tokens.back(), 256);
    tokens.pop_back();
    const std::string text = contents("text/" + source.path);
    EXPECT_EQ(std::string(tokens.begin(), tokens.end()), text);
    EXPECT_EQ(source.sha256, sha256_hex(text));
    EXPECT_EQ(source.bytes, text.size());
  }
  EXPECT_EQ(manifest.train.tokens, manifest.train_text_bytes + manifest.train.documents);
  EXPECT_EQ(manifest.val.tokens, manifest.val_text_bytes + manifest.val.documents);
}

TEST_F(Prepare, GivesTheSameBytesForTheSameTextWhereverItLies) {
  prepared({.tokenizer = "bpe:400"}, "one");
  std::filesystem::rename(text_, folder_ / "moved");
  text_ = folder_ / "moved";
  prepared({.tokenizer = "bpe:400"}, "two");

  EXPECT_EQ(all_bytes("one"), all_bytes("two"));
}

TEST_F(Prepare, GivesTheSameTokensAndSplitWhenTheTextIsCompressed) {
  const Manifest plain = prepared({}, "plain");
  for (int i = 0; i < 60; i += 3) {
    const std::string name = "doc-" + std::to_string(i) + ".txt";
    test::write_text(text_, name + ".gz", test::gzip(contents("text/" + name)));
    std::filesystem::remove(text_ / name);
  }
  const Manifest packed = prepared({}, "packed");

  EXPECT_EQ(packed.digest, plain.digest);
}

TEST_F(Prepare, WritesNothingWhenNothingChanged) {
  prepared({.tokenizer = "unigram:400"});
  const auto written = std::filesystem::last_write_time(folder_ / "data/manifest.json");
  const auto inode = [&] { return std::filesystem::last_write_time(folder_ / "data"); };
  const auto folder_time = inode();

  const Result<Preparation> again = prepare({.tokenizer = "unigram:400"});

  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "data/manifest.json"), written);
  EXPECT_EQ(inode(), folder_time);
}

TEST_F(Prepare, KeepsOtherDataUnlessToldToReplaceThem) {
  const Manifest first = prepared();
  test::write_text(text_, "doc-3.txt", test::invented_text(999, 600));

  const Result<Preparation> refused = prepare();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::usage);
  EXPECT_THAT(refused.error().hint, HasSubstr("--replace"));
  EXPECT_EQ(read_manifest(real_files(), folder_ / "data")->digest, first.digest);

  const Manifest second = prepared({.replace = true});
  EXPECT_NE(second.digest, first.digest);
  EXPECT_EQ(all_bytes("data"), (prepared({}, "fresh"), all_bytes("fresh")));
  EXPECT_THAT(*real_files().list(folder_.path()), testing::ElementsAre("data", "fresh", "text"));
}

TEST_F(Prepare, AlsoTakesOtherOptionsForOtherData) {
  prepared();

  for (const PrepareOptions& options : {PrepareOptions{.tokenizer = "bpe:400"},
                                        PrepareOptions{.held_out_one_in = 49},
                                        PrepareOptions{.held_out_bytes = 1},
                                        PrepareOptions{.min_document_bytes = 201},
                                        PrepareOptions{.notes = {{"licence", "CC0"}}}})
    EXPECT_FALSE(prepare(options));
}

TEST_F(Prepare, CountsWhatItLeavesOut) {
  test::write_text(text_, "empty.txt", "");
  test::write_text(text_, "tiny.txt", "a few words");
  test::write_text(text_, "tiny-too.txt", "a few more");
  test::write_text(text_, "picture.png", std::string("\x89PNG\0", 5));
  test::write_text(text_, "latin1.txt", std::string(300, '\xe9'));

  const Result<Preparation> made = prepare();

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->skipped.at("tiny files").count, 2);
  EXPECT_THAT(made->skipped.at("binary files").examples, testing::ElementsAre("picture.png"));
  const Json expected = {{"binary", 1}, {"empty", 1}, {"invalid_utf8", 1}, {"tiny", 2}};
  EXPECT_EQ(made->manifest.provenance["skipped"], expected);
  EXPECT_THAT(made->full(), HasSubstr("2 tiny files (tiny-too.txt, tiny.txt)"));
}

TEST_F(Prepare, RemovesAndCountsCopiesOfHeldOutDocuments) {
  const Manifest without = prepared({}, "without");
  const auto held_out = std::find_if(
      without.sources.begin(), without.sources.end(), [](const auto& s) { return s.use == "val"; });
  ASSERT_NE(held_out, without.sources.end());
  test::write_text(text_, "copy.txt", "\n" + contents("text/" + held_out->path) + "  \n");

  const Manifest with = prepared({}, "with");

  EXPECT_EQ(with.duplicates_removed, 1);
  EXPECT_EQ(with.digest, without.digest);
}

TEST_F(Prepare, LearnsItsVocabularyFromTrainingTextAlone) {
  const Manifest manifest = prepared({.tokenizer = "bpe:400"}, "one");
  for (const SourceFile& source : manifest.sources)
    if (source.use == "val") test::write_text(text_, source.path, std::string(700, 'Q'));
  prepared({.tokenizer = "bpe:400"}, "two");

  EXPECT_EQ(contents("one/tokenizer.model"), contents("two/tokenizer.model"));
}

TEST_F(Prepare, LearnsFromNoMoreThanTheSample) {
  prepared({.tokenizer = "bpe:400", .sample_bytes = 10'000}, "small");
  prepared({.tokenizer = "bpe:400"}, "whole");

  EXPECT_NE(contents("small/tokenizer.model"), contents("whole/tokenizer.model"));
}

TEST_F(Prepare, UsesAnExistingModelLikeTheOneItLearned) {
  const Manifest learned = prepared({.tokenizer = "bpe:400"}, "learned");
  const std::string model = "model:" + (folder_ / "learned/tokenizer.model").string();

  const Manifest reused = prepared({.tokenizer = model}, "reused");

  EXPECT_EQ(reused.digest, learned.digest);
  EXPECT_TRUE(prepare({.tokenizer = model}, "reused")->unchanged);
}

// A long text without line breaks is tokenized in pieces; no byte may get lost between them.
TEST_F(Prepare, TokenizesLongLinesWhole) {
  std::string line = test::invented_text(5, 100'000);
  std::replace(line.begin(), line.end(), '\n', ' ');
  test::write_text(text_, "long.txt", line);
  std::string letters;
  while (letters.size() < 50'000) letters += "\xe2\x82\xac";  // neither blanks nor line breaks
  test::write_text(text_, "letters.txt", letters);

  const Manifest manifest = prepared();

  std::vector<std::string> train_paths;
  for (const SourceFile& source : manifest.sources)
    if (source.use == "train") train_paths.push_back(source.path);
  for (const auto& [path, text] : {std::pair("long.txt", line), {"letters.txt", letters}}) {
    const auto at = std::find(train_paths.begin(), train_paths.end(), path);
    ASSERT_NE(at, train_paths.end());
    std::vector<std::int32_t> tokens =
        document(manifest, Split::train, static_cast<std::size_t>(at - train_paths.begin()));
    tokens.pop_back();
    std::string bytes;
    for (const std::int32_t token : tokens) bytes += static_cast<char>(token);
    EXPECT_EQ(bytes, text);
  }
}

TEST_F(Prepare, ReportsProgressUpToItsEnd) {
  std::uint64_t done = 0;
  std::uint64_t total = 1;
  const auto made = data::prepare(
      real_files(), system_clock(), text_, folder_ / "data", {}, [&](const Progress& p) {
        done = p.done;
        total = p.total;
      });

  ASSERT_TRUE(made);
  EXPECT_EQ(done, total);
}

class RefusedPreparation : public Prepare {
 protected:
  // What the refusal says; nothing may have been written beside the text.
  std::string refusal(const PrepareOptions& options, const Path& text, ErrorKind kind) {
    const auto before = *real_files().list(folder_.path());
    const auto made = data::prepare(real_files(), system_clock(), text, folder_ / "data", options);
    EXPECT_EQ(*real_files().list(folder_.path()), before);
    if (made) return "";
    EXPECT_EQ(made.error().kind, kind);
    return made.error().describe();
  }
};

TEST_F(RefusedPreparation, NamesAMissingFolder) {
  EXPECT_THAT(refusal({}, folder_ / "nowhere", ErrorKind::input), HasSubstr("nowhere"));
}

TEST_F(RefusedPreparation, SaysWhyNoTextIsUsable) {
  test::write_text(folder_.path(), "poor/tiny.txt", "x");
  test::write_text(folder_.path(), "poor/zero.bin", std::string(1000, '\0'));

  EXPECT_THAT(
      refusal({}, folder_ / "poor", ErrorKind::input),
      testing::AllOf(HasSubstr("no usable text"), HasSubstr("1 tiny"), HasSubstr("1 binary")));
}

TEST_F(RefusedPreparation, SaysThatOneDocumentIsTooFew) {
  test::write_text(folder_.path(), "single/all.txt", test::invented_text(1, 5000));

  EXPECT_THAT(refusal({}, folder_ / "single", ErrorKind::input), HasSubstr("too few"));
}

TEST_F(RefusedPreparation, ReportsAllOptionsThatAreWrong) {
  const std::string said = refusal(
      {.tokenizer = "words", .held_out_one_in = 1, .sample_bytes = 5}, text_, ErrorKind::usage);

  EXPECT_THAT(said, testing::AllOf(HasSubstr("words"), HasSubstr("held out"), HasSubstr("sample")));
}

TEST_F(RefusedPreparation, NamesAMissingTokenizerModel) {
  EXPECT_THAT(
      refusal({.tokenizer = "model:" + (folder_ / "no.model").string()}, text_, ErrorKind::input),
      HasSubstr("no.model"));
}

TEST_F(RefusedPreparation, SaysWhenTheTextCannotGiveTheVocabulary) {
  EXPECT_THAT(refusal({.tokenizer = "bpe:100000"}, text_, ErrorKind::usage),
              HasSubstr("bpe:100000"));
}

TEST_F(RefusedPreparation, DoesNotWriteIntoTheText) {
  for (const Path& out : {text_, text_ / "data", text_ / "a/../b/"}) {
    const auto made = data::prepare(real_files(), system_clock(), text_, out, {});
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().what, HasSubstr("lies in the text folder"));
  }
  EXPECT_EQ(real_files().list(text_)->size(), 60U);
}

TEST_F(RefusedPreparation, ReplacesNothingThatIsNoPreparedData) {
  test::write_text(folder_.path(), "data/thesis.tex", "three years of work");

  EXPECT_THAT(refusal({.replace = true}, text_, ErrorKind::usage), HasSubstr("something else"));
  EXPECT_EQ(contents("data/thesis.tex"), "three years of work");
}

TEST_F(RefusedPreparation, SaysWhatIsDamagedAndRepairsItWhenToldTo) {
  prepared({.tokenizer = "bpe:400"});
  const std::string whole = all_bytes("data");
  for (const char* name : {"manifest.json", "train.tokens", "val.docs", "tokenizer.model"}) {
    std::filesystem::resize_file(folder_ / "data" / name, 3);

    EXPECT_THAT(refusal({.tokenizer = "bpe:400"}, text_, ErrorKind::input), HasSubstr(name));

    prepared({.tokenizer = "bpe:400", .replace = true});
    EXPECT_EQ(all_bytes("data"), whole);
  }
}

}  // namespace
}  // namespace ration::data
