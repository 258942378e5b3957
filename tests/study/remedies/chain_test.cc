#include "study/remedies/chain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace ration::study {
namespace {

ChainStart a_start(std::int64_t replica) {
  ChainStart start{.run = "start" + std::to_string(replica), .size = "2x64", .replica = replica};
  start.spec.tokens = 1000;
  start.spec.unique_tokens = 500;
  start.spec.val_tokens = 128;
  start.spec.aux = "d:1:10:0";
  start.spec.aux_share = 0.5;
  start.spec.weight_decay = 0.7;
  start.execution.data = "/data/prose";
  start.flops = 1e6;
  return start;
}

// Every run takes `tokens` from its block; weights are named by their run.
class Workshop {
 public:
  ChainSteps steps() {
    return {.train = [this](const Json& sweep) { return train(sweep); },
            .merge = [this](const Json& recipe,
                            const Path& base,
                            const std::vector<Path>& models,
                            const Path& output) -> Result<void> {
              merges.push_back({recipe, base, models, output});
              return {};
            },
            .weights_of = [](const std::string& run) -> Result<Path> { return Path("/w") / run; }};
  }

  struct Merge {
    Json recipe;
    Path base;
    std::vector<Path> models;
    Path output;
  };
  std::vector<Merge> merges;
  std::vector<Json> sweeps;
  std::string diverges;  // "sweep/block" of a run that does

 private:
  Result<std::vector<TrainedRun>> train(const Json& sweep) {
    sweeps.push_back(sweep);
    std::vector<TrainedRun> runs;
    for (const Json& block : sweep["block"]) {
      const std::string name = block["name"], id = sweep["name"].get<std::string>() + "/" + name;
      const std::int64_t tokens = block["fixed"]["tokens"];
      runs.push_back({.block = name,
                      .run = id,
                      .init = block["fixed"]["init"],
                      .seed = block["fixed"]["seed"],
                      .tokens = tokens,
                      .loss = id == diverges ? std::nan("") : 3.5,
                      .flops = 1000.0 * static_cast<double>(tokens)});
    }
    return runs;
  }
};

const ChainPlace kPlace{.name = "study-cold", .folder = "/f", .base = "/sweeps"};

RemedyChain two_rounds() {
  return {.start = "half",
          .rounds = 2,
          .branches = {{{"tokens", 100}}, {{"tokens", 50}, {"data", "../data/code"}}},
          .recipe = {{"method", "average"}},
          .finish = std::nullopt};
}

TEST(RemedyChain, EachRoundBeginsWithWhatTheOneBeforeMerged) {
  Workshop workshop;
  const std::vector<ChainStart> starts = {a_start(0), a_start(1)};

  const auto ends = carry_out_chain(two_rounds(), starts, kPlace, workshop.steps());

  ASSERT_TRUE(ends);
  ASSERT_EQ(workshop.merges.size(), 4U);
  EXPECT_EQ(workshop.merges[0].base, "/w/start0");
  EXPECT_EQ(workshop.merges[0].models,
            (std::vector<Path>{"/w/study-cold-1/s0-b0", "/w/study-cold-1/s0-b1"}));
  EXPECT_EQ(workshop.merges[2].base, workshop.merges[0].output);
  EXPECT_EQ(workshop.sweeps[1]["block"][0]["fixed"]["init"],
            "file:" + workshop.merges[0].output.string());
  EXPECT_EQ(ends->at(1).weights, workshop.merges[3].output);
  EXPECT_TRUE(std::isnan(ends->at(0).loss)) << "merged weights are judged by the caller";
}

TEST(RemedyChain, ChargesAllThatWasTrained) {
  Workshop workshop;
  const std::vector<ChainStart> starts = {a_start(0)};

  const auto ends = carry_out_chain(two_rounds(), starts, kPlace, workshop.steps());

  ASSERT_TRUE(ends);
  EXPECT_DOUBLE_EQ(ends->at(0).tokens, 1000 + 2 * (100 + 50));
  EXPECT_DOUBLE_EQ(ends->at(0).flops, 1e6 + 1000.0 * 300);
  EXPECT_DOUBLE_EQ(ends->at(0).donors, 0);
}

TEST(RemedyChain, DonorsAreChargedApart) {
  Workshop workshop;
  RemedyChain chain = two_rounds();
  chain.finish = Json{{"tokens", 700}};
  chain.donors = true;
  const std::vector<ChainStart> starts = {a_start(0)};

  const auto ends = carry_out_chain(chain, starts, kPlace, workshop.steps());

  ASSERT_TRUE(ends);
  EXPECT_DOUBLE_EQ(ends->at(0).tokens, 700);
  EXPECT_DOUBLE_EQ(ends->at(0).flops, 700'000);
  EXPECT_DOUBLE_EQ(ends->at(0).donors, 1.3e6);
  EXPECT_DOUBLE_EQ(ends->at(0).loss, 3.5);
  EXPECT_EQ(ends->at(0).run, "study-cold-3/s0-b0");
}

TEST(RemedyChain, ARunThatDivergesEndsItsOwnChainAlone) {
  Workshop workshop;
  workshop.diverges = "study-cold-1/s0-b1";
  const std::vector<ChainStart> starts = {a_start(0), a_start(1)};

  const auto ends = carry_out_chain(two_rounds(), starts, kPlace, workshop.steps());

  ASSERT_TRUE(ends);
  ASSERT_EQ(ends->size(), 1U);
  EXPECT_EQ(ends->front().start, 1U);
  EXPECT_EQ(workshop.sweeps[1]["block"].size(), 2U) << "no second round of the one that is lost";
}

TEST(RemedyChain, BranchesAreTrainedAsTheirStartWasButForTheirText) {
  const ChainStart start = a_start(0);

  const Json own = settings_of_branch(start, {{"lr", 1e-4}}, "/sweeps");
  const Json other = settings_of_branch(start, {{"data", "../data/code"}}, "/sweeps");

  EXPECT_EQ(own["weight_decay"], 0.7);
  EXPECT_EQ(own["lr"], 1e-4);
  EXPECT_EQ(own["unique_tokens"], 500);
  EXPECT_EQ(own["data"], "/data/prose");
  EXPECT_FALSE(own.contains("aux")) << "a branch has one text";
  EXPECT_EQ(other["data"], "/data/code");
  EXPECT_FALSE(other.contains("unique_tokens")) << "that was a number of the other text";
  EXPECT_EQ(other["val_tokens"], 64 * start.spec.context);
}

TEST(RemedyChain, NoTwoRunsShareASeedAndAPlace) {
  const std::vector<ChainStart> starts = {a_start(0), a_start(1)};
  const std::vector<std::string> inits = {"run:a", "run:a"};
  const std::vector<Json> branches = {{{"tokens", 1}}, {{"tokens", 1}}};
  std::set<std::int64_t> seeds;

  for (std::int64_t round = 0; round < 3; ++round) {
    const Json sweep = round_sweep(starts, inits, branches, round, kPlace);
    for (const Json& block : sweep["block"])
      seeds.insert(block["fixed"]["seed"].get<std::int64_t>());
  }

  EXPECT_EQ(seeds.size(), 12U);
}

}  // namespace
}  // namespace ration::study
