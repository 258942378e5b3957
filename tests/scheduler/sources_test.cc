#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/manifest.h"
#include "run/mixture.h"
#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using test::PreparedFolder;
using test::problems_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// Beside the main data "code" of 6,400 and "web" of 12,800 tokens and one more, of its tokenizer.
class Sources : public testing::Test {
 protected:
  Sources() {
    code_ = add("code", 6401, "");
    web_ = add("web", 12801, "");
    add("other", 6401, std::string(64, 'e'));
  }

  std::string add(const std::string& name,
                  std::int64_t tokens,
                  const std::string& tokenizer,
                  const Json& overlap = Json()) {
    data::Manifest manifest;
    if (!overlap.is_null()) manifest.provenance["overlap"] = overlap;
    manifest.tokenizer = tokenizer.empty() ? "bytes" : "bpe:257";
    manifest.tokenizer_sha256 = tokenizer;
    manifest.vocab = 257;
    manifest.end_token = 256;
    manifest.train = {tokens, 10, std::string(64, 'b'), std::string(64, 'b')};
    manifest.val = {1000, 10, std::string(64, 'b'), std::string(64, 'b')};
    manifest.train_text_bytes = tokens;
    manifest.val_text_bytes = 1000;
    manifest.digest = data::manifest_digest(manifest);
    const Path folder = folder_.path() / name;
    EXPECT_TRUE(real_files().make_folders(folder));
    EXPECT_TRUE(
        real_files().write_whole(folder / "manifest.json", data::manifest_text(manifest).value()));
    return manifest.digest;
  }

  Result<Expansion> expand(const std::string& text) {
    return folder_.expand("data = 'data'\n" + text +
                          "[sources.code]\ndata = 'code'\nmax_epochs = 4\n"
                          "[sources.web]\ndata = 'web'\nweight = 3\nunique_tokens = 6500\n"
                          "[sources.other]\ndata = 'other'\n");
  }
  std::vector<std::string> problems(const std::string& text) {
    const Result<Expansion> plan = expand(text);
    return plan ? std::vector<std::string>{} : problems_of(plan.error());
  }

  PreparedFolder folder_;
  std::string code_, web_;
};

TEST_F(Sources, ThatCannotGiveEnoughWithinTheirCapsAreRefused) {
  const std::string text = "[fixed]\ntokens = 131072\naux = 'code'\naux_share = ";
  EXPECT_THAT(problems(text + "0.1\n"), testing::IsEmpty()) << "4 epochs of 6,400 tokens suffice";
  EXPECT_THAT(problems(text + "0.5\n"),
              ElementsAre(HasSubstr("the sources give 25600 tokens at most")));
}

TEST_F(Sources, AreTheSameRunWhateverWeightsAPolicyDoesNotRead) {
  const auto runs = [&](const std::string& policy) {
    return expand("[fixed]\ntokens = 12800\naux_share = 0.5\npolicy = '" + policy +
                  "'\n[grid]\naux = ['code*0.5,web*0.5', 'code*0.9,web*0.1']\n")
        .value()
        .runs.size();
  };
  EXPECT_EQ(runs("fixed"), 2);
  EXPECT_EQ(runs("proportional"), 1);
  EXPECT_EQ(runs("exp3"), 1);
}

TEST_F(Sources, ThatWereNeverComparedWithTheHeldOutTextAreTold) {
  const std::string text = "[fixed]\ntokens = 12800\naux = 'code'\naux_share = 0.5\n";
  EXPECT_THAT(
      expand(text).value().notes,
      ElementsAre(testing::AllOf(HasSubstr("code was never compared with the held-out text of"),
                                 HasSubstr("--against"))));

  const std::string target =
      data::read_manifest(real_files(), folder_.path() / "data").value().digest;
  const auto compared = [&](double bytes_met) {
    Json held_out = {{"data", target}, {"bytes", 1000}};
    held_out["bytes_met"] = bytes_met;
    Json overlap = Json::object();
    overlap["against"] = Json::array({held_out});
    add("code", 6401, "", overlap);
    return expand(text).value().notes;
  };
  EXPECT_THAT(compared(0), testing::IsEmpty());
  EXPECT_THAT(compared(9), testing::IsEmpty()) << "some phrases are common";
  EXPECT_THAT(compared(120), ElementsAre(HasSubstr("12.0 % of the held-out text")));
}

TEST_F(Sources, BecomeTheirDigestsAndFolders) {
  const auto plan =
      expand("[fixed]\ntokens = 64000\naux = 'web, code'\naux_share = 0.5\ncontext = 64\n");

  ASSERT_TRUE(plan) << plan.error().describe();
  ASSERT_THAT(plan->runs, SizeIs(1));
  const PlannedRun& run = plan->runs[0];
  EXPECT_EQ(
      run.spec.aux,
      run::aux_text({{.data_digest = code_, .weight = 1, .unique_tokens = 6400, .max_epochs = 4},
                     {.data_digest = web_, .weight = 3, .unique_tokens = 6464}}));
  EXPECT_EQ(run.execution.aux_data, folder_.file("web") + ":" + folder_.file("code"));
}

TEST_F(Sources, TakeTheWeightThatAPointGivesThem) {
  const auto plan = expand(
      "[fixed]\ntokens = 64000\naux_share = 0.5\ncontext = 64\n"
      "[grid]\naux = ['code*0.25,web*0.75', 'code*1,web*3']\n");

  ASSERT_TRUE(plan) << plan.error().describe();
  ASSERT_THAT(plan->runs, SizeIs(1));  // the same weights, written twice
  const auto sources = run::parse_aux(plan->runs[0].spec.aux);
  ASSERT_TRUE(sources);
  for (const run::AuxSource& source : *sources)
    EXPECT_NEAR(source.weight, source.data_digest == code_ ? 0.25 : 0.75, 1e-12);
}

TEST_F(Sources, OfNoShareAreTheRunWithoutThem) {
  const auto mixed = expand(
      "[fixed]\ntokens = 64000\naux = 'code'\npolicy = 'exp3'\nseed = 1\n"
      "[grid]\naux_share = [0, 0.25]\n");
  const auto plain = expand("[fixed]\ntokens = 64000\nseed = 1\n");

  ASSERT_TRUE(mixed) << mixed.error().describe();
  ASSERT_TRUE(plain);
  EXPECT_EQ(mixed->runs.at(0).id, plain->runs.at(0).id);
  EXPECT_NE(mixed->runs.at(1).id, plain->runs.at(0).id);
}

TEST_F(Sources, LeaveEpochsToTheMainData) {
  const auto plan = expand(
      "[fixed]\nepochs = 4\nunique_tokens = 6400\naux = 'code'\ncontext = 64\n"
      "[grid]\naux_share = [0, 0.5]\n");

  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_EQ(plan->runs.at(0).spec.tokens, 4 * 6400);
  EXPECT_EQ(plan->runs.at(1).spec.tokens, 8 * 6400);
  EXPECT_DOUBLE_EQ(plan->runs.at(1).facts.epochs, 4);
}

TEST_F(Sources, ThatCannotBeUsedAreNamed) {
  const std::string mixed = "[fixed]\ntokens = 64000\naux_share = 0.5\n";
  EXPECT_THAT(problems(mixed + "aux = 'cod'\n"),
              ElementsAre(HasSubstr("there is no source \"cod\"")));
  EXPECT_THAT(problems(mixed + "aux = 'code*no'\n"), ElementsAre(HasSubstr("no weight above 0")));
  EXPECT_THAT(problems(mixed + "aux = 'other'\n"), ElementsAre(HasSubstr("tokenized otherwise")));
  EXPECT_THAT(problems(mixed), ElementsAre(HasSubstr("needs auxiliary sources")));
  EXPECT_THAT(problems("[fixed]\ntokens = 64000\n[sources.x]\ndata = 'x'\nwieght = 2\n"),
              ElementsAre(HasSubstr("unknown key \"wieght\" in sources.x")));
  EXPECT_THAT(problems("[fixed]\ntokens = 64000\n[sources.x]\ndata = 'x'\nweight = 0\n"),
              ElementsAre(HasSubstr("weight must be a number above 0")));
}

}  // namespace
}  // namespace ration::scheduler
