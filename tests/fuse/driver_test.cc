#include "fuse/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unsynced_files.h"
#include "data/manifest.h"
#include "fuse/rounds.h"
#include "support/temporary_folder.h"

namespace ration::fuse {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class FusionRuns : public testing::Test {
 protected:
  FusionRuns() {
    for (const char* const name : {"broad", "prose", "code"}) prepare_data(name, 257);
    setup_.store = folder_ / "store";
    setup_.folder = folder_.path();
    setup_.name = "first/mean";
    setup_.data = (folder_ / "broad").string();
    setup_.model = {{"width", 16}, {"heads", 2}, {"context", 32}};
    table_ = {{"base", "file:base"},
              {"fixed", {{"tokens", 1024}, {"lr", 1e-3}}},
              {"contributor",
               {{{"id", "code"}, {"data", "code"}, {"lr", 2e-3}},
                {{"id", "own"}},
                {{"id", "prose"}, {"data", "prose"}}}}};
  }

  void prepare_data(const std::string& name, std::int64_t vocab) {
    const std::string digest(64, static_cast<char>('a' + name.size() % 6));
    data::Manifest manifest{.tokenizer = "bytes",
                            .vocab = vocab,
                            .end_token = 256,
                            .train = {10'000, 10, digest, digest},
                            .val = {10'000, 10, digest, digest},
                            .train_text_bytes = 10'000,
                            .val_text_bytes = 10'000};
    manifest.digest = data::manifest_digest(manifest);
    ASSERT_TRUE(unsynced_files().make_folders(folder_ / name));
    ASSERT_TRUE(unsynced_files().write_whole(folder_ / name / "manifest.json",
                                             data::manifest_text(manifest).value()));
  }

  Config config(const Json& changes = Json::object()) const {
    Json table = table_;
    table.update(changes);
    return parse_config(table, "first.toml").value();
  }
  std::vector<Task> tasks(const Config& config, std::int64_t round) const {
    std::vector<Task> tasks;
    for (std::size_t place = 0; place < config.contributors.size(); ++place)
      tasks.push_back({.contributor = &config.contributors[place],
                       .round = round,
                       .base = "",
                       .base_file = "",
                       .seed = seed_of(config, round, place)});
    return tasks;
  }
  scheduler::Sweep sweep(const std::string& fuse) const {
    const std::string text =
        "data = \"broad\"\n[fixed]\nwidth = 16\nheads = 2\ntokens = 1024\n"
        "[[block]]\nname = \"base\"\n" +
        fuse;
    return scheduler::read_sweep(text, (folder_ / "first.toml").string()).value();
  }

  test::TemporaryFolder folder_;
  fuse::Setup setup_;
  Json table_;
};

TEST_F(FusionRuns, HaveTheBasesModelTheirOwnSettingsAndASeedOfTheRound) {
  const Config fusion = config();

  const auto first = plan(fusion, setup_, tasks(fusion, 1), unsynced_files());
  const auto second = plan(fusion, setup_, tasks(fusion, 2), unsynced_files());

  ASSERT_TRUE(first) << first.error().describe();
  ASSERT_THAT(*first, SizeIs(3));
  for (const scheduler::PlannedRun& run : *first) {
    EXPECT_EQ(run.spec.width, 16);
    EXPECT_EQ(run.spec.tokens, 1024);
  }
  EXPECT_EQ((*first)[0].spec.lr, 2e-3);
  EXPECT_EQ((*first)[2].spec.lr, 1e-3);
  EXPECT_EQ((*first)[0].execution.data, (folder_ / "code").string());
  EXPECT_EQ((*first)[1].execution.data, (folder_ / "broad").string()) << "that of the base";
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE((*first)[i].id, (*second)[i].id);
  EXPECT_EQ(plan(fusion, setup_, tasks(fusion, 1), unsynced_files())->at(1).id, (*first)[1].id);
}

TEST_F(FusionRuns, ThatAreTheSameForTwoContributorsCountForBoth) {
  const Config fusion =
      config({{"contributor", {{{"id", "a"}, {"seed", 1}}, {{"id", "b"}, {"seed", 1}}}}});

  const auto runs = plan(fusion, setup_, tasks(fusion, 1), unsynced_files());

  ASSERT_TRUE(runs) << runs.error().describe();
  ASSERT_THAT(*runs, SizeIs(2));
  EXPECT_EQ((*runs)[0].id, (*runs)[1].id);
}

TEST_F(FusionRuns, WithWrongSettingsNameTheirContributors) {
  const Config fusion =
      config({{"contributor",
               {{{"id", "a"}, {"lrr", 1}}, {{"id", "b"}}, {{"id", "c"}, {"data", "nowhere"}}}}});

  const auto runs = plan(fusion, setup_, tasks(fusion, 1), unsynced_files());

  ASSERT_FALSE(runs);
  const std::string text = runs.error().describe();
  EXPECT_THAT(text, HasSubstr("contributor a"));
  EXPECT_THAT(text, HasSubstr("lrr"));
  EXPECT_THAT(text, HasSubstr("contributor c"));
  EXPECT_THAT(text, testing::Not(HasSubstr("contributor b")));
}

TEST_F(FusionRuns, AreCheckedBeforeTheBaseIsTrained) {
  const auto refusal = [&](const Json& changes) {
    const Result<void> sound = check(config(changes), sweep("[fuse]\n"), {}, unsynced_files());
    return sound ? "sound" : sound.error().describe();
  };
  prepare_data("letters", 300);

  EXPECT_EQ(refusal({{"base", "block:base"}}), "sound");
  EXPECT_THAT(refusal({{"base", "block:bass"}}), HasSubstr("names no block"));
  EXPECT_THAT(refusal({{"base", "file:nowhere"}}), HasSubstr("there is no"));
  EXPECT_THAT(refusal({{"base", "nowhere"}}), HasSubstr("names no weights"));
  EXPECT_THAT(refusal({{"base", "block:base"}, {"fixed", {{"tokenz", 9}}}}), HasSubstr("tokenz"));
  EXPECT_THAT(refusal({{"base", "block:base"}, {"probe", {"letters"}}}),
              HasSubstr("vocabulary of 300 tokens"));
  EXPECT_THAT(refusal({{"base", "block:base"}, {"probe", {"lost"}}}), HasSubstr("lost"));
}

TEST_F(FusionRuns, ThatNeedAProbeNameItsKeyAndNobodyElse) {
  const Json guests = {{{"id", "guest"}, {"external", true}}};
  for (const Json& contributors : {guests, table_.at("contributor")}) {
    const Result<void> sound =
        check(config({{"base", "block:base"}, {"contributor", contributors}, {"probe", {"lost"}}}),
              sweep("[fuse]\n"),
              {},
              unsynced_files());
    ASSERT_FALSE(sound);
    EXPECT_THAT(sound.error().describe(), HasSubstr("[fuse] probe"));
    EXPECT_THAT(sound.error().describe(), testing::Not(HasSubstr("contributor")));
  }
}

TEST(SweepName, FitsAndTellsFusionsApart) {
  EXPECT_EQ(sweep_name("first/ties/seed-1", "r3"), "first.ties.seed-1.r3");
  const std::string one = sweep_name(std::string(60, 'x') + "/1", "r10000");
  const std::string two = sweep_name(std::string(60, 'x') + "/2", "r10000");
  EXPECT_LE(one.size(), 64U);
  EXPECT_NE(one, two);
}

}  // namespace
}  // namespace ration::fuse
