#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "data/document_table.h"
#include "data/gzip_builder.h"
#include "data/prepare.h"
#include "data/shards.h"
#include "data/stats.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PrepareRecords : public testing::Test {
 protected:
  Result<Preparation> prepare(const PrepareOptions& options = {},
                              const std::string& out = "data",
                              const std::string& text = "text") {
    return data::prepare(real_files(), system_clock(), folder_ / text, folder_ / out, options);
  }

  // A preparation in a process of its own, killed when it reports the writing of tokens for the
  // so-manieth time: at the beginning and behind every 256 documents or megabyte.
  void prepare_and_kill(const PrepareOptions& options, int pieces) {
    const pid_t child = fork();
    if (child == 0) {
      int written = 0;
      const Result<Preparation> ended =
          data::prepare(real_files(),
                        system_clock(),
                        folder_ / "text",
                        folder_ / "data",
                        options,
                        [&](const Progress& at) {
                          if (at.phase == "writing tokens" && ++written == pieces) raise(SIGKILL);
                        });
      _exit(ended ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the process was to be killed";
  }

  std::string file(const std::string& path) {
    return real_files().read(folder_ / path).value_or("missing");
  }

  std::string all_bytes(const std::string& out) {
    std::string bytes;
    for (const std::string& name : real_files().list(folder_ / out).value_or({}))
      bytes += name + "\n" + file(out + "/" + name) + "\n";
    return bytes;
  }

  // Every document of a split, decoded.
  std::vector<std::string> texts(const Manifest& manifest, Split split, const std::string& out) {
    const TokenPool pool = *TokenPool::open(real_files(), folder_ / out, manifest, split);
    const auto tokenizer = *tokenizer_of(real_files(), folder_ / out, manifest);
    std::vector<std::string> all;
    for (std::size_t i = 0; i + 1 < pool.document_starts().size(); ++i)
      all.push_back(*document_text(pool, *tokenizer, i));
    return all;
  }

  static std::string json_lines(int count, std::size_t bytes = 300) {
    std::string lines;
    for (int i = 0; i < count; ++i)
      lines += Json{{"id", fmt::format("doc-{}", i)},
                    {"text", test::invented_text(static_cast<std::uint64_t>(i), bytes)}}
                   .dump() +
               "\n";
    return lines;
  }

  test::TemporaryFolder folder_;
};

TEST_F(PrepareRecords, TakesEveryLineOfAJsonFileAsADocument) {
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(200));

  const Result<Preparation> made = prepare();

  ASSERT_TRUE(made) << made.error().describe();
  const Manifest& manifest = made->manifest;
  EXPECT_EQ(manifest.train.documents + manifest.val.documents, 200);
  ASSERT_EQ(manifest.sources.size(), 1U) << "one entry a file, not one a line";
  EXPECT_EQ(manifest.sources[0].documents.at("train"), manifest.train.documents);
  const std::vector<std::string> train = texts(manifest, Split::train, "data");
  const auto origins = *read_documents(real_files(), folder_ / "data", manifest);
  ASSERT_EQ(origins.size(), 200U);
  std::size_t at = 0;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    EXPECT_EQ(origins[i].record, i + 1);
    if (origins[i].use != Use::train) continue;
    EXPECT_EQ(train[at++], test::invented_text(i, 300));
  }
}

TEST_F(PrepareRecords, SplitsByNameWhereverTheLineStands) {
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(300));
  const Result<Preparation> before = prepare({.id_field = "id"}, "before");
  test::write_text(
      folder_.path(),
      "text/a.jsonl",
      Json{{"id", "new"}, {"text", test::invented_text(999, 300)}}.dump() + "\n" + json_lines(300));
  const Result<Preparation> after = prepare({.id_field = "id"}, "after");

  ASSERT_TRUE(before && after);
  EXPECT_EQ(texts(before->manifest, Split::val, "before"),
            texts(after->manifest, Split::val, "after"));
}

TEST_F(PrepareRecords, GivesTheSameBytesForAnyNumberOfThreadsAndAnyMemory) {
  for (const auto& [tokenizer, size] : {std::pair("bytes", 10), {"bpe:400", 1}}) {
    for (int i = 0; i < 60; ++i)
      test::write_text(folder_.path(),
                       fmt::format("text/{}.txt", i),
                       test::invented_text(static_cast<std::uint64_t>(i), 2'000U * size));
    test::write_text(folder_.path(), "text/big.txt", test::invented_text(7, 200'000U * size));
    test::write_text(folder_.path(), "text/lines.jsonl", json_lines(600, 300U * size));

    ASSERT_TRUE(prepare({.tokenizer = tokenizer, .threads = 1}, "one"));
    ASSERT_TRUE(
        prepare({.tokenizer = tokenizer, .threads = 7, .memory_bytes = 16'000'000}, "seven"));
    EXPECT_EQ(all_bytes("one") == all_bytes("seven"), true) << tokenizer;
    for (const char* out : {"one", "seven"}) ASSERT_TRUE(real_files().remove_all(folder_ / out));
  }
}

TEST_F(PrepareRecords, GivesTheSameTokensCompressedOrNot) {
  const std::string lines = json_lines(500);
  test::write_text(folder_.path(), "text/a.jsonl", lines);
  test::write_text(folder_.path(), "packed/a.jsonl.gz", test::gzip(lines));

  const Result<Preparation> plain = prepare({}, "plain");
  const Result<Preparation> packed = prepare({}, "packed-data", "packed");

  ASSERT_TRUE(plain && packed);
  EXPECT_EQ(plain->manifest.digest, packed->manifest.digest);
}

TEST_F(PrepareRecords, CountsWhatALineLacks) {
  test::write_text(folder_.path(),
                   "text/a.jsonl",
                   json_lines(100) + "no json\n{\"body\":\"x\"}\n{\"text\":\"\"}\n" +
                       "{\"text\":\"short\"}\n{\"text\":\"a\\u0000b\"}\n{\"text\":\"\xff\"}\n");

  const Result<Preparation> made = prepare();

  ASSERT_TRUE(made) << made.error().describe();
  const Json expected = {{"invalid_json", 1},
                         {"no_text", 1},
                         {"empty", 1},
                         {"tiny", 1},
                         {"binary", 1},
                         {"invalid_utf8", 1}};
  EXPECT_EQ(made->manifest.provenance["skipped"], expected);
  EXPECT_THAT(made->full(), HasSubstr("a.jsonl:101"));
  const auto dropped = *read_dropped(real_files(), folder_ / "data");
  EXPECT_THAT(dropped,
              testing::Contains(testing::FieldsAre(
                  "lines that are not one JSON object", "a.jsonl:101", "", "no json")));
}

TEST_F(PrepareRecords, DropsTheDocumentsOfAFileThatEndsEarly) {
  test::write_text(folder_.path(), "text/whole.jsonl", json_lines(100));
  const std::string packed = test::gzip(json_lines(1'500, 2'000));
  test::write_text(folder_.path(), "text/broken.jsonl.gz", packed.substr(0, packed.size() / 2));

  const Result<Preparation> made = prepare();

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->manifest.train.documents + made->manifest.val.documents, 100);
  EXPECT_EQ(made->skipped.at("damaged gzip files").count, 1);
}

TEST_F(PrepareRecords, CutsOneFileIntoParagraphs) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += test::invented_text(static_cast<std::uint64_t>(i), 300) + "\n\n";
  test::write_text(folder_.path(), "book.txt", text);

  EXPECT_THAT(prepare({}, "data", "book.txt").error().hint, HasSubstr("--split-documents"));
  const Result<Preparation> made = prepare({.split_documents = "blank-lines"}, "data", "book.txt");

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->manifest.train.documents + made->manifest.val.documents, 100);
}

TEST_F(PrepareRecords, LeavesOutWhatAFilterDropsAndCuts) {
  for (int i = 0; i < 60; ++i)
    test::write_text(folder_.path(),
                     fmt::format("text/{:02}.txt", i),
                     fmt::format("{:02}begin CUT end", i) + std::string(200, 'x'));
  PrepareOptions options;
  options.filter = [](const TextReader& reader, const Path&) {
    Kept kept{.record = {{"step", "test"}}};
    std::vector<std::size_t> train;
    for (std::size_t i = 0; i < reader.corpus.documents.size(); ++i)
      if (reader.corpus.documents[i].use == Use::train) train.push_back(i);
    kept.dropped = {{train[0], "the first"}};
    kept.cuts[train[1]] = {{8, 12}};
    return Result<Kept>(kept);
  };

  const Result<Preparation> made = prepare(options);

  ASSERT_TRUE(made) << made.error().describe();
  const Manifest& manifest = made->manifest;
  EXPECT_EQ(manifest.train.documents + manifest.val.documents, 59);
  EXPECT_THAT(texts(manifest, Split::train, "data")[0], HasSubstr("begin end"));
  EXPECT_EQ(manifest.train_text_bytes + manifest.train.documents, manifest.train.tokens);
  EXPECT_EQ(manifest.provenance["filters"]["step"], "test");
  EXPECT_EQ(std::count_if(manifest.sources.begin(),
                          manifest.sources.end(),
                          [](const SourceFile& source) { return source.use == "filtered"; }),
            1);
  EXPECT_THAT(*read_dropped(real_files(), folder_ / "data"),
              ElementsAre(testing::FieldsAre(
                  "left out by a filter", "00.txt", "the first", HasSubstr("CUT"))));
  EXPECT_TRUE(prepare(options)->unchanged);
}

TEST_F(PrepareRecords, GoesOnWhereAKillStoppedIt) {
  test::write_documents(folder_ / "text", 1'200);
  const PrepareOptions options{.tokenizer = "bpe:400", .checkpoint_seconds = 0};
  prepare_and_kill(options, 3);
  EXPECT_FALSE(real_files().exists(folder_ / "data"));
  // Bytes behind the last checkpoint are no part of the data.
  test::write_text(folder_.path(), "data.tmp/train.tokens", file("data.tmp/train.tokens") + "torn");

  const Result<Preparation> made = prepare(options);

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_GT(made->taken_over, 0);
  ASSERT_TRUE(prepare(options, "whole"));
  EXPECT_TRUE(all_bytes("data") == all_bytes("whole"));
}

TEST_F(PrepareRecords, GoesOnWithinAFileWhereAKillStoppedIt) {
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(1'200, 3'000));
  const PrepareOptions options{.checkpoint_seconds = 0};
  prepare_and_kill(options, 3);

  const Result<Preparation> made = prepare(options);

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_GT(made->taken_over, 0);
  ASSERT_TRUE(prepare(options, "whole"));
  EXPECT_TRUE(all_bytes("data") == all_bytes("whole"));
}

TEST_F(PrepareRecords, StartsOverWhenWhatAKillLeftIsDamaged) {
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(1'200, 3'000));
  const PrepareOptions options{.checkpoint_seconds = 0};
  prepare_and_kill(options, 3);
  std::string tokens = file("data.tmp/train.tokens");
  ASSERT_GT(tokens.size(), 100U);
  tokens[100] = static_cast<char>(tokens[100] ^ 1);
  test::write_text(folder_.path(), "data.tmp/train.tokens", tokens);

  const Result<Preparation> made = prepare(options);

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->taken_over, 0);
  ASSERT_TRUE(prepare(options, "whole"));
  EXPECT_TRUE(all_bytes("data") == all_bytes("whole"));
}

TEST_F(PrepareRecords, StartsOverWhenAKillLeftTokensOfAnotherText) {
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(1'200, 3'000));
  const PrepareOptions options{.checkpoint_seconds = 0};
  prepare_and_kill(options, 3);
  test::write_text(folder_.path(), "text/a.jsonl", json_lines(1'199, 3'000));

  const Result<Preparation> made = prepare(options);

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->taken_over, 0);
  ASSERT_TRUE(prepare(options, "whole"));
  EXPECT_TRUE(all_bytes("data") == all_bytes("whole"));
}

// The text changes when the first token is about to be written.
TEST_F(PrepareRecords, NoticesTextThatChangesMeanwhile) {
  for (const std::string name : {"text/a.jsonl", "text/b.txt"}) {
    for (int i = 0; i < 60; ++i)
      test::write_text(folder_.path(),
                       fmt::format("text/{}.txt", i),
                       test::invented_text(static_cast<std::uint64_t>(i), 300));
    test::write_text(folder_.path(), "text/b.txt", test::invented_text(70, 300));
    test::write_text(folder_.path(), "text/a.jsonl", json_lines(50));
    PrepareOptions options;
    options.filter = [&](const TextReader&, const Path&) {
      std::string bytes = file(name);
      bytes[bytes.size() / 2] = bytes[bytes.size() / 2] == 'q' ? 'z' : 'q';
      test::write_text(folder_.path(), name, bytes);
      return Result<Kept>(Kept{});
    };

    const Result<Preparation> made = prepare(options);

    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, ErrorKind::input);
    EXPECT_THAT(made.error().what, HasSubstr("changed while it was being prepared"));
    EXPECT_THAT(*real_files().list(folder_.path()), ElementsAre("text"));
    ASSERT_TRUE(real_files().remove_all(folder_ / "text"));
  }
}

TEST_F(PrepareRecords, CarriesTheSourceOfFetchedTextIntoTheManifest) {
  test::write_documents(folder_ / "text", 60);
  test::write_text(folder_.path(),
                   "text/ration.fetch.json",
                   R"({"schema":"ration.fetch/1","name":"kernel","package":"linux-doc-6.1",)"
                   R"("version":"6.1","licence":"GPL-2","files":60,"bytes":1,"sha256":"ab"})");

  const Result<Preparation> made = prepare();

  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->manifest.sources.size(), 60U) << "it is no document";
  EXPECT_EQ(made->manifest.provenance["corpora"][0]["name"], "kernel");
}

}  // namespace
}  // namespace ration::data
