#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/commands.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::cli {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome ration(std::vector<std::string> words) {
  std::vector<const char*> argv = {"ration"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome{.code =
                      run_program(ration_program(), static_cast<int>(argv.size()), argv.data())};
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

class DataCommand : public testing::Test {
 protected:
  DataCommand() { test::write_documents(folder_ / "text", 60); }

  Outcome prepare(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"data", "prepare", text_, "-o", data_};
    words.insert(words.end(), more.begin(), more.end());
    return ration(words);
  }

  Json json(const Outcome& outcome) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    Result<Json> document = parse_json(outcome.out, "stdout");
    EXPECT_TRUE(document) << outcome.out;
    return document.value_or(Json());
  }

  test::TemporaryFolder folder_;
  std::string text_ = (folder_ / "text").string();
  std::string data_ = (folder_ / "data").string();
};

TEST_F(DataCommand, PreparesTextAndShowsWhatTheFolderHolds) {
  const Outcome made = prepare();
  EXPECT_EQ(made.code, 0);
  EXPECT_THAT(made.out, HasSubstr("training tokens"));
  EXPECT_THAT(made.err, HasSubstr("next: ration data info"));

  const Outcome info = ration({"data", "info", data_, "--verify"});
  EXPECT_EQ(info.code, 0);
  EXPECT_THAT(info.out, HasSubstr("bytes, vocabulary 257"));
  EXPECT_THAT(info.err, HasSubstr("agrees"));
}

TEST_F(DataCommand, GivesTheSameFactsAsJson) {
  const Json made = json(prepare({"--json", "--note", "licence=CC0-1.0"}));
  const Json info = json(ration({"data", "info", data_, "--json", "--context", "128"}));

  EXPECT_EQ(info["schema"], "ration.data/1");
  EXPECT_EQ(made["schema"], "ration.data/1");
  for (const char* name : {"digest", "train", "val", "vocab", "tokenizer", "provenance"})
    EXPECT_EQ(made[name], info[name]) << name;
  EXPECT_FALSE(made["unchanged"].get<bool>());
  const auto tokens = info["train"]["tokens"].get<std::int64_t>();
  EXPECT_EQ(info["unique_tokens"], (tokens - 1) / 128 * 128);
  EXPECT_EQ(info["provenance"]["notes"]["licence"], "CC0-1.0");
  EXPECT_TRUE(json(prepare({"--json", "--note", "licence=CC0-1.0"}))["unchanged"].get<bool>());
}

TEST_F(DataCommand, SaysOnlyTheDigestWhenAskedToBeQuiet) {
  const Outcome made = prepare({"--quiet"});
  const Outcome info = ration({"data", "info", data_, "-q"});

  EXPECT_EQ(made.out.size(), 65U);
  EXPECT_EQ(made.out, info.out);
  EXPECT_EQ(made.err, "");
}

TEST_F(DataCommand, ReportsAllWrongOptionsWithExitCodeTwo) {
  const Outcome made =
      prepare({"--tokenizer", "words", "--held-out", "1", "--note", "x", "--min-bytes", "0.5"});

  EXPECT_EQ(made.code, 2);
  EXPECT_EQ(made.out, "");
  for (const char* what : {"words", "held out", "--note", "--min-bytes"})
    EXPECT_THAT(made.err, HasSubstr(what));
  EXPECT_FALSE(real_files().exists(data_));
}

TEST_F(DataCommand, NeedsAnOutputFolder) {
  const Outcome made = ration({"data", "prepare", text_});

  EXPECT_EQ(made.code, 2);
  EXPECT_THAT(made.err, HasSubstr("-o DIR"));
}

TEST_F(DataCommand, NamesEveryDamagedFile) {
  ASSERT_EQ(prepare({"--tokenizer", "bpe:400"}).code, 0);
  for (const char* name : {"train.tokens", "val.tokens", "tokenizer.model"}) {
    std::string bytes = *real_files().read(Path(data_) / name);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    ASSERT_TRUE(real_files().write_whole(Path(data_) / name, bytes));
  }

  EXPECT_EQ(ration({"data", "info", data_}).code, 0) << "only --verify reads everything";
  const Outcome verified = ration({"data", "info", data_, "--verify"});

  EXPECT_EQ(verified.code, 2);
  for (const char* name : {"train.tokens", "val.tokens", "tokenizer.model"})
    EXPECT_THAT(verified.err, HasSubstr(name));
}

TEST_F(DataCommand, SaysHowToPrepareAFolderWithoutData) {
  const Outcome info = ration({"data", "info", text_});

  EXPECT_EQ(info.code, 2);
  EXPECT_THAT(info.err, HasSubstr("ration data prepare"));
}

TEST_F(DataCommand, ShowsDocumentsAndWhereTheyAreFrom) {
  test::write_text(folder_ / "text", "bad.txt", std::string(300, '\xe9'));
  prepare();

  const Json shown = json(ration({"data", "show", data_, "0", "1", "--json"}));
  ASSERT_EQ(shown["documents"].size(), 2U);
  EXPECT_EQ(shown["documents"][0]["place"], "doc-0.txt");
  EXPECT_EQ(shown["documents"][0]["text"], test::invented_text(0, 600));

  const Outcome random = ration({"data", "show", data_, "--random", "4", "--split", "train"});
  EXPECT_EQ(random.code, 0) << random.err;
  EXPECT_EQ(random.out, ration({"data", "show", data_, "--random", "4"}).out) << "the same seed";

  const Outcome dropped = ration({"data", "show", data_, "--dropped"});
  EXPECT_THAT(dropped.out, HasSubstr("bad.txt: files that are not UTF-8"));

  EXPECT_EQ(ration({"data", "show", data_, "60"}).code, 2);
}

TEST_F(DataCommand, CountsWhatTheDataAreMadeOf) {
  prepare();

  const Json stats = json(ration({"data", "stats", data_, "--json"}));

  EXPECT_EQ(stats["train"]["documents"].get<int>() + stats["val"]["documents"].get<int>(), 60);
  EXPECT_EQ(stats["train"]["duplicate_documents"], 0);
  EXPECT_GT(stats["train"]["entropy_bits"].get<double>(), 2);
  EXPECT_THAT(ration({"data", "stats", data_}).out, HasSubstr("most frequent"));
}

TEST_F(DataCommand, DrawsWhatAPersonLooksAt) {
  prepare();
  const std::string page = (folder_ / "page.html").string();

  EXPECT_EQ(ration({"data", "stats", data_, "--html", page}).code, 0);

  EXPECT_THAT(real_files().read(page).value_or(""), HasSubstr("How long documents are"));
}

TEST_F(DataCommand, SaysWhatDiffersBetweenTwoFolders) {
  prepare();
  test::write_text(folder_ / "text", "doc-3.txt", test::invented_text(999, 600));
  test::write_text(folder_ / "text", "more.txt", test::invented_text(998, 600));
  const std::string other = (folder_ / "other").string();
  ration({"data", "prepare", text_, "-o", other, "--note", "licence=CC0"});

  const Json diff = json(ration({"data", "diff", data_, other, "--json"}));
  EXPECT_EQ(diff["same_tokens"], false);
  EXPECT_EQ(diff["sources"]["changed"], Json({"doc-3.txt"}));
  EXPECT_EQ(diff["sources"]["added"], Json({"more.txt"}));
  EXPECT_EQ(diff["sources"]["same"], 59);

  const Outcome text = ration({"data", "diff", data_, other});
  EXPECT_THAT(text.out, testing::AllOf(HasSubstr("notes.licence"), HasSubstr("more.txt")));
  EXPECT_THAT(ration({"data", "diff", data_, data_}).out, HasSubstr("the same tokens"));
}

TEST_F(DataCommand, ListsTheTextsThatCanBeFetched) {
  const Json listed = json(ration({"data", "fetch", "--json"}));
  EXPECT_EQ(listed["corpora"][0]["name"], "licences");
  EXPECT_THAT(ration({"data", "fetch"}).out, HasSubstr("GPL-2"));

  const Outcome wrong = ration({"data", "fetch", "kernal"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("kernel"));
}

TEST_F(DataCommand, FiltersAndSaysWhatWasLeft) {
  const Json plain = json(prepare({"--json", "--held-out", "4"}));
  std::filesystem::remove_all(data_);
  const std::string reference = (folder_ / "text").string();

  const Outcome made = prepare({"--held-out",
                                "4",
                                "--filter",
                                "exact",
                                "--filter",
                                "perplexity:lowest=0.5",
                                "--reference",
                                reference,
                                "--reference-tokenizer",
                                "bytes"});

  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("filter exact: "));
  EXPECT_THAT(made.out, HasSubstr("filter perplexity:band=0..0.5"));
  EXPECT_THAT(ration({"data", "info", data_}).out, HasSubstr("filter exact: "));
  const Json info = json(ration({"data", "info", data_, "--json"}));
  EXPECT_LT(info["train"]["documents"], plain["train"]["documents"]);
  EXPECT_EQ(info["provenance"]["filters"]["steps"].size(), 2);
  EXPECT_EQ(info["provenance"]["overlap"]["length"], 100);
}

TEST_F(DataCommand, RefusesFiltersThatCannotWork) {
  const Outcome unknown = prepare({"--filter", "neer:0.8", "--filter", "perplexity"});

  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean"));
  EXPECT_THAT(unknown.err, HasSubstr("--reference"));
  EXPECT_FALSE(std::filesystem::exists(data_));
}

// A trainer that gives every training document ten nats for each of five tokens, but the first.
class ScoreCommand : public DataCommand {
 protected:
  std::string trainer(const std::string& digest, int documents) {
    const Path path = folder_ / "trainer";
    std::string script =
        "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\n"
        "{ echo '{\"schema\":\"ration.scores/1\",\"data\":\"" +
        digest + "\",\"checkpoint\":\"c\"}'\n";
    for (int i = 0; i < documents; ++i)
      script += "echo '{\"document\":" + std::to_string(i) +
                ",\"tokens\":5,\"nats\":" + (i == 0 ? "5" : "50") + "}'\n";
    EXPECT_TRUE(real_files().write_whole(path, script + "} > \"$2\"\n"));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path.string();
  }
};

TEST_F(ScoreCommand, NamesTheDocumentsThatAModelJudged) {
  const Json made = json(prepare({"--json"}));
  const auto documents = made["train"]["documents"].get<int>();
  const std::string file = (folder_ / "scores.jsonl").string();

  const Outcome scored = ration({"data",
                                 "score",
                                 data_,
                                 "--run",
                                 "runs/1",
                                 "-o",
                                 file,
                                 "--trainer",
                                 trainer(made["digest"].get<std::string>(), documents)});

  EXPECT_EQ(scored.code, 0) << scored.err;
  const Outcome kept = ration({"data",
                               "prepare",
                               text_,
                               "-o",
                               data_ + "-kept",
                               "--filter",
                               "perplexity:lowest=0.02",
                               "--scores",
                               file});
  EXPECT_EQ(kept.code, 0) << kept.err;
  EXPECT_THAT(kept.out, HasSubstr("documents: 1 to train on"));
}

TEST_F(ScoreCommand, RefusesScoresOfOtherDataOrOfTooFewDocuments) {
  const Json made = json(prepare({"--json"}));
  const auto documents = made["train"]["documents"].get<int>();
  const std::string file = (folder_ / "scores.jsonl").string();
  const auto code = [&](const std::string& digest, int count) {
    return ration({"data",
                   "score",
                   data_,
                   "--run",
                   "runs/1",
                   "-o",
                   file,
                   "--trainer",
                   trainer(digest, count)})
        .code;
  };

  EXPECT_EQ(code(std::string(64, '0'), documents), 2);
  EXPECT_EQ(code(made["digest"].get<std::string>(), documents - 1), 2);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(
      ration({"data", "score", data_, "--run", "r", "-o", file, "--trainer", "/bin/false"}).code,
      3);
}

}  // namespace
}  // namespace ration::cli
