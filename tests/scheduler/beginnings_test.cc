// Runs that begin with weights that exist, and lists of points to evaluate.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "data/manifest.h"
#include "run/points.h"
#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using test::PreparedFolder;
using test::problems_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kStart = "data = 'data'\n[fixed]\ntokens = 6400\n";

class Beginnings : public testing::Test {
 protected:
  Expansion expand(const std::string& text) {
    Result<Expansion> plan = folder_.expand(text);
    EXPECT_TRUE(plan) << text << plan.error().describe();
    return plan ? std::move(*plan) : Expansion{};
  }
  std::vector<std::string> problems(const std::string& text) {
    const Result<Expansion> plan = folder_.expand(text);
    return plan ? std::vector<std::string>{} : problems_of(plan.error());
  }
  void write(const std::string& name, const std::string& text) {
    EXPECT_TRUE(files_.make_folders(Path(folder_.file(name)).parent_path()));
    EXPECT_TRUE(files_.write_whole(folder_.file(name), text));
  }
  // One tensor with as many numbers as the models of these tests have, and the first one given.
  void write_weights(const std::string& name, float first = 0, std::size_t more = 0) {
    EXPECT_TRUE(files_.make_folders(Path(folder_.file(name)).parent_path()));
    const double own = expand(kStart).runs.at(0).facts.params;
    std::vector<float> numbers(static_cast<std::size_t>(own) + more);
    numbers[0] = first;
    EXPECT_TRUE(checkpoint::write_safetensors(files_,
                                              folder_.file(name),
                                              {{.name = "w",
                                                .dtype = checkpoint::DType::f32,
                                                .shape = {numbers.size()},
                                                .bytes = std::as_bytes(std::span(numbers))}}));
  }
  std::string digest_of(const std::string& name) {
    return "sha256:" + sha256_hex(files_.read(folder_.file(name)).value());
  }
  static std::map<std::string, std::vector<PlannedRun>> by_block(const Expansion& plan) {
    std::map<std::string, std::vector<PlannedRun>> blocks;
    for (const PlannedRun& run : plan.runs) blocks[run.block].push_back(run);
    return blocks;
  }

  Files& files_ = real_files();
  PreparedFolder folder_;
};

TEST_F(Beginnings, AFileIsKnownByItsContentAndFoundByItsPath) {
  write_weights("base.safetensors");
  write_weights("checkpoint-4/model.safetensors");

  const Expansion plan = expand(std::string(kStart) +
                                "[grid]\ninit = ['file:base.safetensors', 'file:checkpoint-4']\n"
                                "lr = [1e-3, 1e-2]\n");

  ASSERT_THAT(plan.runs, SizeIs(2)) << "equal files are one beginning";
  EXPECT_EQ(plan.merged, 2);
  EXPECT_EQ(plan.runs[0].spec.init, digest_of("base.safetensors"));
  EXPECT_EQ(plan.runs[0].execution.init_file, folder_.file("base.safetensors"));
  EXPECT_EQ(plan.runs[0].tags.at("init"), run::Value(std::string("file:base.safetensors")));
  EXPECT_THAT(plan.runs[0].needs, IsEmpty());
  EXPECT_EQ(plan.runs[0].id, run::run_id(plan.runs[0].spec));
}

TEST_F(Beginnings, AFileThatHoldsNoWeightsIsRefusedAtItsLine) {
  write("text.safetensors", "no tensors");

  EXPECT_THAT(problems(std::string(kStart) + "init = 'file:none.safetensors'\n"),
              ElementsAre(testing::AllOf(testing::StartsWith("4:"), HasSubstr("there is no "))));
  EXPECT_THAT(
      problems(std::string(kStart) + "init = 'file:text.safetensors'\n"),
      ElementsAre(testing::AllOf(testing::StartsWith("4:"), HasSubstr("text.safetensors"))));
  EXPECT_THAT(problems(std::string(kStart) + "init = 'sha256:" + std::string(64, 'a') + "'\n"),
              ElementsAre(HasSubstr("4:8 init does not say where the file")));
  EXPECT_THAT(problems(std::string(kStart) + "init = 'weights'\n"),
              ElementsAre(HasSubstr("\"weights\" names no weights")));
  EXPECT_THAT(problems(std::string(kStart) + "[derive]\ninit = \"'x'\"\n"),
              ElementsAre(HasSubstr("init cannot be derived")));
  EXPECT_THAT(problems(std::string(kStart) + "init_file = 'x'\n"),
              ElementsAre(HasSubstr("init_file cannot be set: it follows from init")));
}

TEST_F(Beginnings, AFileOfAnotherModelOrOfNoNumbersIsRefusedAtItsLine) {
  write_weights("larger.safetensors", 0, 1);
  write_weights("nan.safetensors", std::numeric_limits<float>::quiet_NaN());

  EXPECT_THAT(
      problems(std::string(kStart) + "init = 'file:larger.safetensors'\n"),
      ElementsAre(testing::ContainsRegex(
          "4:8 init: .*larger.safetensors holds [0-9]+ floating-point numbers, the model")));
  EXPECT_THAT(problems(std::string(kStart) + "init = 'file:nan.safetensors'\n"),
              ElementsAre(HasSubstr("tensor \"w\" is NaN or infinite at element 0")));
}

TEST_F(Beginnings, AFileMayBeCutIntoShards) {
  write_weights("shards/one.safetensors");
  write("shards/model.safetensors.index.json", R"({"weight_map":{"w":"one.safetensors"}})");

  const Expansion plan = expand(std::string(kStart) + "init = 'file:shards'\n");

  ASSERT_THAT(plan.runs, SizeIs(1));
  EXPECT_EQ(plan.runs[0].execution.init_file, folder_.file("shards"));
  EXPECT_EQ(plan.runs[0].spec.init,
            "sha256:" + checkpoint::Checkpoint::open(files_, folder_.file("shards"))->sha256());
}

TEST_F(Beginnings, ARunIsNeededByThoseThatNameIt) {
  const std::string id(32, 'a');

  const Expansion plan =
      expand(std::string(kStart) + "[grid]\ninit = ['run:" + id + "', 'run:" + id + "@40']\n");

  ASSERT_THAT(plan.runs, SizeIs(2));
  EXPECT_THAT(plan.runs[0].needs, ElementsAre(run::Weights{.run = id, .step = 0, .sha256 = {}}));
  EXPECT_THAT(plan.runs[1].needs, ElementsAre(run::Weights{.run = id, .step = 40, .sha256 = {}}));
}

constexpr const char* kTuned =
    "[[block]]\nname = 'tuned'\n[block.fixed]\ninit = 'block:base'\nlr = 1e-4\n";

TEST_F(Beginnings, ABlockBeginsWithTheRunOfAnotherWhereverThatStands) {
  const std::string base = "[[block]]\nname = 'base'\n[block.fixed]\nwidth = 32\n";
  for (const std::string& blocks : {base + kTuned, kTuned + base}) {
    const Expansion plan = expand("data = 'data'\n[fixed]\ntokens = 6400\nwidth = 32\n" + blocks);

    auto runs = by_block(plan);
    ASSERT_THAT(runs["base"], SizeIs(1));
    ASSERT_THAT(runs["tuned"], SizeIs(1));
    const PlannedRun& tuned = runs["tuned"][0];
    EXPECT_EQ(tuned.spec.init, "run:" + runs["base"][0].id);
    EXPECT_THAT(tuned.needs, SizeIs(1));
    EXPECT_EQ(tuned.tags.at("block"), run::Value(std::string("tuned")));
  }
}

TEST_F(Beginnings, EachReplicaBeginsWithItsOwnOrWithTheOnlyOne) {
  const Expansion both =
      expand(std::string("seeds = 3\n") + kStart + "[[block]]\nname = 'base'\n" + kTuned);
  auto runs = by_block(both);
  ASSERT_THAT(runs["tuned"], SizeIs(3));
  std::set<std::string> parents;
  for (const PlannedRun& tuned : runs["tuned"]) {
    parents.insert(tuned.spec.init);
    for (const PlannedRun& base : runs["base"])
      EXPECT_EQ(tuned.spec.init == "run:" + base.id, tuned.replica == base.replica);
  }
  EXPECT_THAT(parents, SizeIs(3));

  const Expansion one = expand(std::string("seeds = 3\n") + kStart +
                               "[[block]]\nname = 'base'\nseeds = 1\n" + kTuned);
  runs = by_block(one);
  ASSERT_THAT(runs["tuned"], SizeIs(3));
  for (const PlannedRun& tuned : runs["tuned"])
    EXPECT_EQ(tuned.spec.init, "run:" + runs["base"][0].id);
}

TEST_F(Beginnings, AChainOfBlocksAndAnAxisOfThemAreFollowed) {
  const Expansion plan =
      expand(std::string(kStart) +
             "[[block]]\nname = 'last'\n[block.grid]\ninit = ['block:second', 'block:first@40']\n"
             "[[block]]\nname = 'second'\n[block.fixed]\ninit = 'block:first'\n"
             "[[block]]\nname = 'first'\n");

  auto runs = by_block(plan);
  ASSERT_THAT(runs["last"], SizeIs(2));
  EXPECT_EQ(runs["last"][0].spec.init, "run:" + runs["second"][0].id);
  EXPECT_EQ(runs["last"][1].spec.init, "run:" + runs["first"][0].id + "@40");
  EXPECT_EQ(runs["second"][0].spec.init, "run:" + runs["first"][0].id);
  EXPECT_EQ(plan.runs[0].block, "last") << "runs keep the order of the file";
}

TEST_F(Beginnings, BlocksThatCannotBeMeantAreToldWithTheirPlace) {
  const std::string two = "[[block]]\nname = 'base'\n[block.grid]\nlr = [1, 2]\n";
  EXPECT_THAT(problems(std::string(kStart) + two + kTuned),
              ElementsAre(HasSubstr("11:8 init: block \"base\" has 2 runs")));
  EXPECT_THAT(problems(std::string(kStart) + "[[block]]\nname = 'bass'\n" + kTuned),
              ElementsAre(HasSubstr("init: no block is called \"base\"")));
  EXPECT_THAT(problems(std::string(kStart) +
                       "[[block]]\nname = 'base'\n[block.fixed]\n"
                       "init = 'block:tuned'\n" +
                       kTuned),
              ElementsAre(HasSubstr("would begin with themselves")));
  EXPECT_THAT(
      problems(std::string(kStart) + "[[block]]\nname = 'base'\n[[block]]\nname = 'base'\n"),
      ElementsAre(HasSubstr("two blocks are called \"base\"")));
  EXPECT_THAT(problems(std::string(kStart) + "[[block]]\nname = 'a b'\n"),
              ElementsAre(HasSubstr("the name of a block cannot be used")));
  EXPECT_THAT(problems(std::string(kStart) +
                       "[[block]]\nname = 'base'\nseeds = [0, 1]\n"
                       "[[block]]\nseeds = [0, 2]\n[block.fixed]\ninit = 'block:base'\n"),
              ElementsAre(HasSubstr("init: block \"base\" has no run of replica 2")));
  EXPECT_THAT(
      problems(std::string(kStart) + "[[block]]\nname = 'base'\nwhen = 'width > 64'\n" + kTuned),
      ElementsAre(HasSubstr("init: block \"base\" has no run")));
}

TEST_F(Beginnings, WhatIsWrongWithABlockIsNotToldAgainByThoseThatBeginWithIt) {
  EXPECT_THAT(problems(std::string(kStart) +
                       "[[block]]\nname = 'base'\n[block.fixed]\nheads = 3\n" + kTuned),
              ElementsAre(HasSubstr("width 64 is not a multiple of heads 3")));
}

TEST_F(Beginnings, ATrunkCannotBeginWithOtherWeights) {
  EXPECT_THAT(problems("data = 'data'\n[fixed]\nschedule = 'wsd'\ninit = 'run:" +
                       std::string(32, 'a') + "'\n[trunk]\ntokens = [25600, 51200]\n"),
              ElementsAre(HasSubstr("a trunk cannot begin with init")));
}

class Points : public Beginnings {
 protected:
  Points() {
    list_.models["base"] = run::Weights{.run = std::string(32, 'b'), .step = 0, .sha256 = {}};
    list_.models["late"] = run::Weights{.run = std::string(32, 'b'), .step = 8, .sha256 = {}};
    list_.corpora = {{.name = "prose",
                      .data = folder_.file("data"),
                      .digest = data::read_manifest(files_, folder_.file("data"))->digest}};
    list_.points = {{.name = "both",
                     .recipe = {{"method", "average"}, {"models", {"base", "late"}}},
                     .corpora = {}}};
    write("list.json", run::points_text(list_));
  }

  run::PointList list_;
};

TEST_F(Points, AreEvaluatedByARunThatTrainsNothing) {
  const Expansion plan = expand("data = 'data'\n[fixed]\npoints = 'file:list.json'\n");

  ASSERT_THAT(plan.runs, SizeIs(1));
  const PlannedRun& run = plan.runs[0];
  EXPECT_EQ(run.spec.tokens, 0);
  EXPECT_EQ(run.spec.points, digest_of("list.json"));
  EXPECT_EQ(run.execution.points_file, folder_.file("list.json"));
  EXPECT_EQ(run.needs, run::runs_needed(list_));
  EXPECT_THAT(run.needs, SizeIs(2));
  EXPECT_EQ(run.facts.steps, 0);
  EXPECT_EQ(run.facts.epochs, 0);
  EXPECT_EQ(run.facts.flops, 0);
}

TEST_F(Points, OfARowOfAListLeaveTheOtherRowsAlone) {
  const Expansion plan =
      expand("data = 'data'\n[[list]]\npoints = 'file:list.json'\n[[list]]\ntokens = 6400\n");

  ASSERT_THAT(plan.runs, SizeIs(2));
  EXPECT_EQ(plan.runs[0].spec.tokens, 0);
  EXPECT_EQ(plan.runs[1].spec.tokens, 6400);
  EXPECT_EQ(plan.runs[1].spec.points, "");
}

TEST_F(Points, ThatNoWorkerCouldEvaluateAreRefusedAllTogether) {
  list_.corpora[0].digest = "of other data";
  list_.points[0].recipe["lambda"] = 2;
  list_.points.push_back({.name = "weighed by information",
                          .recipe = {{"method", "fisher"}, {"models", {"base", "late"}}},
                          .corpora = {}});
  list_.models["file"] = run::Weights{.run = {}, .step = 0, .sha256 = std::string(64, 'c')};
  list_.files["file"] = folder_.file("gone.safetensors");
  write("list.json", run::points_text(list_));

  const std::vector<std::string> told =
      problems("data = 'data'\n[fixed]\npoints = 'file:list.json'\n");

  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0], HasSubstr("lambda"));
  EXPECT_THAT(told[0], HasSubstr("fisher needs statistics"));
  EXPECT_THAT(told[0], HasSubstr("the list says of other data"));
  EXPECT_THAT(told[0], HasSubstr("there is no " + folder_.file("gone.safetensors")));
}

TEST_F(Points, ThatAskForMoreWindowsThanThereAreAreRefused) {
  list_.corpora[0].first_window = 1'000;
  list_.corpora[0].windows = 1'000;
  write("list.json", run::points_text(list_));

  EXPECT_THAT(problems("data = 'data'\n[fixed]\ncontext = 64\npoints = 'file:list.json'\n"),
              ElementsAre(HasSubstr("asks for windows up to number 1999, and ")));
}

TEST_F(Points, ThatCannotBeReadAreRefusedAtTheirLine) {
  write("other.json", "{\"schema\":\"ration.points/9\"}");
  const std::string start = "data = 'data'\n[fixed]\n";

  EXPECT_THAT(problems(start + "points = 'file:none.json'\n"),
              ElementsAre(HasSubstr("3:10 points: there is no ")));
  EXPECT_THAT(problems(start + "points = 'file:other.json'\n"),
              ElementsAre(HasSubstr("it is no list of points of schema ration.points/1")));
  EXPECT_THAT(problems(start + "points = 'file:list.json'\ntokens = 6400\n"),
              ElementsAre(HasSubstr("points are evaluated without training")));
  EXPECT_THAT(problems(start + "tokens = 0\n"),
              ElementsAre(HasSubstr("tokens = 0 trains nothing")));
  EXPECT_THAT(problems(start + "points_file = 'list.json'\n"),
              ElementsAre(HasSubstr("points_file cannot be set")));
}

}  // namespace
}  // namespace ration::scheduler
