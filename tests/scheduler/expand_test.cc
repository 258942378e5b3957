#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "run/count.h"
#include "scheduler/sweep_support.h"

namespace ration::scheduler {
namespace {

using run::Value;
using test::PreparedFolder;
using test::problems_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* kData = "data = 'data'\n";

class Expand : public testing::Test {
 protected:
  Expansion expand(const std::string& text, const ExpandOptions& options = {}) {
    Result<Expansion> plan = folder_.expand(kData + text, options);
    EXPECT_TRUE(plan) << text << plan.error().describe();
    return plan ? std::move(*plan) : Expansion{};
  }

  // Problems of a sweep whose first line is kData.
  std::vector<std::string> problems(const std::string& text, const ExpandOptions& options = {}) {
    const Result<Expansion> plan = folder_.expand(kData + text, options);
    return plan ? std::vector<std::string>{} : problems_of(plan.error());
  }

  // One member of each run's spec.
  std::vector<Value> each(const Expansion& plan, std::string_view setting) {
    std::vector<Value> values;
    for (const PlannedRun& run : plan.runs) values.push_back(run::get(run.spec, setting));
    return values;
  }

  PreparedFolder folder_;
};

Value whole(std::int64_t value) { return value; }

TEST_F(Expand, GridMultipliesItsAxesTheLastOneFastest) {
  const Expansion plan =
      expand("[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64]\nlr = [1, 2, 3]\n");

  EXPECT_THAT(each(plan, "width"),
              ElementsAre(whole(32), whole(32), whole(32), whole(64), whole(64), whole(64)));
  EXPECT_THAT(each(plan, "lr"), ElementsAre(1.0, 2.0, 3.0, 1.0, 2.0, 3.0));
  EXPECT_EQ(plan.points, 6);
  ASSERT_THAT(plan.axes, SizeIs(2));
  EXPECT_EQ(plan.axes[0].name, "width");
  EXPECT_EQ(plan.axes[1].size, 3);
  EXPECT_EQ(plan.runs[4].ordinal, 4);
}

TEST_F(Expand, ZipTakesValuesTogether) {
  const Expansion plan = expand(
      "[fixed]\ntokens = 6400\n[zip]\nwidth = [32, 64]\nlr = [1, 2]\n[grid]\nz_loss = [0, 1]");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(32), whole(32), whole(64), whole(64)));
  EXPECT_THAT(each(plan, "lr"), ElementsAre(1.0, 1.0, 2.0, 2.0));
  EXPECT_THAT(each(plan, "z_loss"), ElementsAre(0.0, 1.0, 0.0, 1.0));
}

TEST_F(Expand, SeveralZipsMultiply) {
  const Expansion plan = expand(
      "[fixed]\ntokens = 6400\n[[zip]]\nwidth = [32, 64]\nlr = [1, 2]\n[[zip]]\nbeta1 = [0.5, "
      "0.6]\n"
      "beta2 = [0.7, 0.8]\n");

  EXPECT_THAT(plan.runs, SizeIs(4));
}

TEST_F(Expand, ListRowsFallBackToWhatIsFixed) {
  const Expansion plan = expand(
      "[fixed]\nlr = 0.5\nepochs = 2\n[[list]]\nwidth = 32\n[[list]]\nlr = 1\n[[list]]\ntokens = "
      "6400\n");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(32), whole(64), whole(64)));
  EXPECT_THAT(each(plan, "lr"), ElementsAre(0.5, 1.0, 0.5));
  EXPECT_THAT(each(plan, "tokens"), ElementsAre(whole(2 * 999936), whole(2 * 999936), whole(6400)))
      << "a row's tokens replace the epochs of the top";
}

TEST_F(Expand, BlocksUniteUnderTheTopOfTheFile) {
  const Expansion plan = expand(
      "[fixed]\ntokens = 6400\nlr = 0.5\n[grid]\nwidth = [32, 64]\n"
      "[[block]]\n[block.grid]\nz_loss = [0.1, 0.2]\n[[block]]\n[block.fixed]\nlr = 1\n");

  EXPECT_THAT(each(plan, "width"),
              ElementsAre(whole(32), whole(32), whole(64), whole(64), whole(32), whole(64)));
  EXPECT_THAT(each(plan, "lr"), ElementsAre(0.5, 0.5, 0.5, 0.5, 1.0, 1.0));
}

TEST_F(Expand, ABlockReplacesAnAxisOfTheTop) {
  const Expansion plan = expand(
      "[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64]\nlr = [1, "
      "2]\n[[block]]\n[block.grid]\nwidth "
      "= [16]\n[[block]]\n[block.fixed]\nlr = 3\n");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(16), whole(16), whole(32), whole(64)));
  EXPECT_THAT(each(plan, "lr"), ElementsAre(1.0, 2.0, 3.0, 3.0));
}

TEST_F(Expand, BlocksMultiplyWhenAsked) {
  const Expansion plan = expand(
      "blocks = 'product'\n[fixed]\ntokens = 6400\n[[block]]\n[block.zip]\nwidth = [32, 64]\nlr = "
      "[1, "
      "2]\n[[block]]\nseeds = 2\n[[block.list]]\nz_loss = 0.1\n[[block.list]]\nz_loss = 0.2\n");

  EXPECT_THAT(plan.runs, SizeIs(8));
  EXPECT_THAT(problems("blocks = 'product'\n[fixed]\ntokens = 6400\n[[block]]\n[block.fixed]\nlr = "
                       "1\n[[block]]\n[block.grid]\nlr = [2]"),
              ElementsAre("10:1 lr is set twice; first in line 7"));
}

TEST_F(Expand, DerivedValuesFollowEachOtherInAnyOrder) {
  const Expansion plan = expand(
      "[let]\nsize = 1\n[grid]\nsize = [1, 2]\n[derive]\ntokens = '20 * params'\nheads = 'width / "
      "16'\nwidth = '32 * size'\ninit_std = '0.02 * sqrt(768 / width)'\n");

  ASSERT_THAT(plan.runs, SizeIs(2));
  const PlannedRun& run = plan.runs[1];
  EXPECT_EQ(run.spec.width, 64);
  EXPECT_EQ(run.spec.heads, 4);
  EXPECT_DOUBLE_EQ(run.spec.init_std, 0.02 * std::sqrt(12.0));
  const double params = run::count_params(run.spec).total;
  EXPECT_EQ(run.facts.params, params);
  EXPECT_LE(std::abs(static_cast<double>(run.spec.tokens) - 20 * params), 32);
  EXPECT_EQ(run.tags.at("size"), whole(2));
}

TEST_F(Expand, ShowsACycleWithItsWay) {
  EXPECT_THAT(
      problems("[derive]\nheads = 'width / 16'\nwidth = 'heads * 16'\n[fixed]\ntokens = 64"),
      ElementsAre("3:9 width depends on itself: width -> heads -> width"));
  EXPECT_THAT(problems("[derive]\ntokens = 'steps * 512'\n"),
              ElementsAre(HasSubstr("tokens depends on itself: tokens -> steps -> tokens")));
  EXPECT_THAT(problems("[fixed]\ntokens = 64\n[derive]\nlr = 'seed / 2'\n"),
              ElementsAre("5:6 lr depends on itself: lr -> seed -> lr"));
}

TEST_F(Expand, EpochsBecomeTokensInWholeSequences) {
  const Expansion plan =
      expand("[fixed]\nunique_tokens = 6400\n[grid]\nepochs = [1, 4, 0.5, 1.5078125, 0.001]\n");

  EXPECT_THAT(each(plan, "tokens"),
              ElementsAre(whole(6400), whole(25600), whole(3200), whole(9664), whole(64)));
  EXPECT_EQ(plan.runs[1].facts.epochs, 4);
  EXPECT_EQ(plan.runs[1].facts.steps, 50);
  EXPECT_EQ(plan.runs[1].tags.at("epochs"), whole(4));
}

TEST_F(Expand, UniqueTokensAndTokensAreBroughtToWholeSequencesWithANote) {
  const Expansion plan =
      expand("[fixed]\nunique_tokens = '131Ktok'\n[grid]\ntokens = [131000, 1000]\n");

  EXPECT_THAT(each(plan, "unique_tokens"), ElementsAre(whole(130944), whole(130944)));
  EXPECT_THAT(each(plan, "tokens"), ElementsAre(whole(131008), whole(1024)));
  EXPECT_THAT(plan.notes,
              ElementsAre("unique_tokens brought to whole sequences in 2 points, the first: 131000 "
                          "became 130944",
                          "tokens brought to whole sequences in 2 points, the first: 131000 became "
                          "131008"));
}

TEST_F(Expand, TakesAllUniqueTokensTheVocabularyAndTheDigestFromTheData) {
  const Expansion plan = expand("[fixed]\nepochs = 1\n[grid]\ncontext = [64, 100]");

  ASSERT_THAT(plan.runs, SizeIs(2));
  EXPECT_EQ(plan.runs[0].spec.unique_tokens, 999'936);  // (1,000,000 - 1) / 64 windows
  EXPECT_EQ(plan.runs[1].spec.unique_tokens, 999'900);
  EXPECT_EQ(plan.runs[0].spec.vocab, 257);
  EXPECT_THAT(plan.runs[0].spec.data_digest, SizeIs(64));
  EXPECT_EQ(plan.runs[0].execution.data, (folder_.path() / "data").string());
  EXPECT_TRUE(plan.notes.empty());
}

TEST_F(Expand, RefusesMoreTokensThanTheDataHolds) {
  EXPECT_THAT(
      problems("[fixed]\nepochs = 1\nval_tokens = 100000\n[grid]\nunique_tokens = [64, 1000000]"),
      ElementsAre(
          "4:14 val_tokens 100000 is more than the 99968 held-out tokens of the data (in 1 of "
          "2 points)",
          "6:22 unique_tokens 1000000 is more than the 999936 that the data can give (in 1 of "
          "2 points)"));
}

TEST_F(Expand, SaysWhereDataIsMissing) {
  const Result<Expansion> plan =
      folder_.expand("data = 'nowhere'\n[fixed]\nepochs = 1\nwidth = 30\nunique_tokens = 64");

  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::input);
  const std::vector<std::string> all = problems_of(plan.error());
  ASSERT_THAT(all, SizeIs(2)) << "and goes on with the other checks";
  EXPECT_THAT(all[0], HasSubstr("1:8 no prepared data in " + folder_.file("nowhere")));
  EXPECT_EQ(all[1], "4:9 width 30 is not a multiple of heads 4");
  EXPECT_THAT(problems_of(folder_.expand("[fixed]\nepochs = 1").error()),
              ElementsAre("0:0 data is not set"));
}

TEST_F(Expand, UsesOtherDataWhenToldTo) {
  const Result<Expansion> plan =
      folder_.expand("[fixed]\nepochs = 1", {.data = folder_.file("data")});

  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_EQ(plan->runs[0].execution.data, folder_.file("data"));
}

TEST_F(Expand, RelativeDataStartsAtTheFolderOfTheSweep) {
  const Expansion at_file = expand("[fixed]\nepochs = 1");
  const Result<Expansion> at_base = folder_.expand("data = 'sub/../../data'\n[fixed]\nepochs = 1",
                                                   {.base = folder_.path() / "x"});

  EXPECT_EQ(at_file.runs[0].execution.data, folder_.file("data"));
  ASSERT_TRUE(at_base) << at_base.error().describe();
  EXPECT_EQ(at_base->runs[0].execution.data, folder_.file("data"));
}

TEST_F(Expand, NeedsTokensOrEpochs) {
  EXPECT_THAT(problems("[fixed]\nwidth = 64"), ElementsAre("0:0 neither tokens nor epochs is set"));
}

TEST_F(Expand, ReportsTheProblemsOfAllPointsOnceEach) {
  EXPECT_THAT(problems("[fixed]\n"
                       "tokens = 64\n"
                       "mlp = 'gelu_erf'\n"
                       "heads = 4\n"
                       "[grid]\n"
                       "width = [30, 32, 34, 4]\n"
                       "lr = [1, 2]\n"
                       "[derive]\n"
                       "beta1 = 'if(width == 4, width / 3, 0.9)'\n"),
              ElementsAre("4:7 family llama has no mlp \"gelu_erf\" (in 6 of 8 points)",
                          "7:10 width 30 is not a multiple of heads 4 (in 2 of 8 points)",
                          "7:18 width 34 is not a multiple of heads 4 (in 2 of 8 points)",
                          "10:9 beta1 = 1.3333333333333333 is out of range (in 2 of 8 points)"));
  EXPECT_THAT(
      problems("[grid]\ntokens = [64, 128]\n[fixed]\nheads = 3\n[derive]\nwidth = 'heads * 2 "
               "+ tokens / 64'"),
      ElementsAre("7:9 width 7 is not a multiple of heads 3 (in all 2 points)"));
}

TEST_F(Expand, WhenOfAKeySwitchesItsAxisOffAndMergesTheCopies) {
  const Expansion plan = expand(
      "[fixed]\nunique_tokens = 6400\n[grid]\nepochs = [1, 8]\ndropout = [0.1, 0.2]\n"
      "[when]\ndropout = 'epochs > 4'\n");

  EXPECT_THAT(each(plan, "dropout"), ElementsAre(0.0, 0.1, 0.2));
  EXPECT_EQ(plan.merged, 1);
  EXPECT_THAT(plan.notes,
              ElementsAre("1 point merged with an equal run: (epochs=1 replica=0) is the run of "
                          "(epochs=1 replica=0)"));
  EXPECT_FALSE(plan.runs[0].tags.contains("dropout"));
  EXPECT_EQ(plan.runs[2].ordinal, 2);
}

TEST_F(Expand, AKeySwitchedOffFallsBackToWhatIsBelowIt) {
  const Expansion plan = expand(
      "[fixed]\nunique_tokens = 6400\ndropout = 0.5\n[[block]]\n[block.grid]\nepochs = [1, "
      "8]\ndropout "
      "= [0.1]\n[block.when]\ndropout = 'epochs > 4'\n");

  EXPECT_THAT(each(plan, "dropout"), ElementsAre(0.0, 0.1))
      << "the block replaced the value of the top";
}

TEST_F(Expand, ExcludeAndWhenLeavePointsOut) {
  const Expansion plan = expand(
      "exclude = ['width == 64 and lr > 1', \"lr == 3\"]\n[fixed]\ntokens = 6400\n[[block]]\nwhen "
      "= "
      "'width > 16'\n[block.grid]\nwidth = [16, 32, 64]\nlr = [1, 2, 3]\n");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(32), whole(32), whole(64)));
  EXPECT_EQ(plan.excluded, 6);
  EXPECT_THAT(problems("exclude = 'true'\n[fixed]\ntokens = 64"),
              ElementsAre("0:0 none of the 1 points is left"));
  EXPECT_THAT(problems("exclude = 'width'\n[fixed]\ntokens = 64"),
              ElementsAre("2:12 the condition gives 64, neither true nor false"));
}

TEST_F(Expand, ExcludedPointsMayBeImpossible) {
  const Expansion plan =
      expand("exclude = 'width % heads != 0'\n[fixed]\ntokens = 64\n[grid]\nwidth = [30, 32]\n");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(32)));
}

TEST_F(Expand, OnlyKeepsWhatItsExpressionSays) {
  const std::string text = "[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64]\n";

  const Expansion plan = expand(text, {.only = "width > 32"});

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(64)));
  EXPECT_EQ(plan.excluded, 1);
  EXPECT_THAT(problems(text, {.only = "widht > 3"}), ElementsAre("1:1 unknown name \"widht\""));
  EXPECT_THAT(problems(text, {.only = "width > 300"}),
              ElementsAre("0:0 none of the 2 points is left"));
}

TEST_F(Expand, SeedsMakeReplicasWithSeedsOfTheirOwn) {
  const Expansion plan =
      expand("seeds = [0, 5]\n[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64]\n");

  ASSERT_THAT(plan.runs, SizeIs(4));
  std::set<std::int64_t> seeds;
  for (const PlannedRun& run : plan.runs) {
    seeds.insert(run.spec.seed);
    EXPECT_LT(run.spec.seed, std::int64_t{1} << 52);
  }
  EXPECT_THAT(seeds, SizeIs(4));
  EXPECT_EQ(plan.runs[1].replica, 5);
  EXPECT_EQ(plan.axes.back().name, "seeds");
}

TEST_F(Expand, ReplicasShareTheirTextAcrossTheSweep) {
  const std::string text =
      "seeds = 2\n[fixed]\nepochs = 1\n[grid]\nwidth = [32, 64]\nunique_tokens = [640, 6400]\n";

  const Expansion vary = expand(text);
  const Expansion same = expand("vary_subset = false\n" + text);

  for (const PlannedRun& run : vary.runs) {
    EXPECT_EQ(run.spec.subset_seed,
              vary.runs[static_cast<std::size_t>(run.replica)].spec.subset_seed);
    EXPECT_EQ(run.spec.subset_seed == vary.runs[0].spec.subset_seed, run.replica == 0);
  }
  for (const PlannedRun& run : same.runs) EXPECT_EQ(run.spec.subset_seed, 0);
}

TEST_F(Expand, RunsThatDifferInTheirTextAloneStartAlike) {
  const Expansion plan = expand("[fixed]\nepochs = 1\n[grid]\nsubset_seed = [1, 2, 3]\n");

  ASSERT_THAT(plan.runs, SizeIs(3));
  EXPECT_EQ(plan.runs[0].spec.seed, plan.runs[1].spec.seed);
  EXPECT_THAT(expand("[fixed]\nepochs = 1\n[derive]\nsubset_seed = 'seed'").runs, SizeIs(1));
}

TEST_F(Expand, AddingPointsOrReplicasNeverChangesTheOthers) {
  const auto ids = [&](const std::string& text) {
    std::set<std::string> all;
    for (const PlannedRun& run : expand(text).runs) all.insert(run.id);
    return all;
  };
  const std::set<std::string> small =
      ids("seeds = 2\n[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64]\n");

  const std::set<std::string> large = ids(
      "seeds = 3\nname = 'other'\npriority = 4\n[fixed]\ntokens = 6400\nthreads = 2\n[grid]\nlr = "
      "[1, 0.003]\nwidth = [16, 64, 32]\n");

  EXPECT_THAT(small, SizeIs(4));
  EXPECT_THAT(large, SizeIs(18));
  EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
}

TEST_F(Expand, MergesEqualRunsAndSaysSo) {
  const Expansion plan = expand(
      "seeds = 2\nvary_subset = false\n[fixed]\ntokens = 6400\nseed = 7\n[grid]\nwidth = [32, 64]");

  EXPECT_THAT(plan.runs, SizeIs(2));
  EXPECT_EQ(plan.merged, 2);
  EXPECT_THAT(plan.notes[0], HasSubstr("2 points merged with an equal run: (epochs="));
}

TEST_F(Expand, OrdersByPriorityThenByTheFile) {
  const Expansion plan = expand(
      "priority = 'if(width == 64, 1, 0)'\n[fixed]\ntokens = 6400\n[grid]\nwidth = [32, 64, 16]");

  EXPECT_THAT(each(plan, "width"), ElementsAre(whole(64), whole(32), whole(16)));
  EXPECT_EQ(plan.runs[0].priority, 1);
  EXPECT_EQ(plan.runs[0].ordinal, 1);
  EXPECT_THAT(problems("priority = 'schedule'\n[fixed]\ntokens = 64"),
              ElementsAre("2:13 priority must be a number, not cosine"));
}

TEST_F(Expand, RefusesASweepThatIsTooLargeBeforeItExpandsIt) {
  std::string thousand = "1";
  for (int i = 2; i <= 1000; ++i) thousand += fmt::format(",{}", i);
  const std::string text = fmt::format(
      "seeds = 2\n[fixed]\ntokens = 64\n[grid]\nlog_every_steps = [{0}]\nseed = [{0}]\nsubset_seed "
      "= "
      "[{0}]\nlr = [1, 2, 3]\n",
      thousand);

  EXPECT_THAT(
      problems(text),
      ElementsAre("0:0 the sweep has 6000000000 points, more than 100000; its largest axes: "
                  "log_every_steps (1000), seed (1000), subset_seed (1000)"));
  EXPECT_THAT(problems("[fixed]\ntokens = 64\n[grid]\nlr = [1, 2]", {.max_runs = 1}),
              ElementsAre("0:0 the sweep has 2 points, more than 1; its largest axes: lr (2)"));
  EXPECT_THAT(problems("", {.max_runs = 2'000'000}),
              ElementsAre("-1:-1 max_runs 2000000 is out of range"));
}

TEST_F(Expand, EveryRunCanBeWrittenAndReadBack) {
  const Expansion plan = expand(
      "seeds = 2\n[fixed]\nepochs = 2\nthreads = 2\n[grid]\nwidth = [32, 64]\n"
      "family = ['llama', 'gpt2']\n");

  ASSERT_THAT(plan.runs, SizeIs(8));
  for (const PlannedRun& run : plan.runs) {
    const auto file = run::parse_run_json(run::run_json(run.spec, run.execution), "run.json");
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_EQ(file->id, run.id);
    EXPECT_EQ(file->spec, run.spec);
    EXPECT_EQ(file->execution, run.execution);
  }
}

TEST_F(Expand, JsonAndTomlGiveTheSameRuns) {
  const Expansion toml = expand("[fixed]\nepochs = 2\n[grid]\nwidth = [32, 64]\nlr = [1e-3]\n");
  const auto json = folder_.expand(
      R"({"data": "data", "fixed": {"epochs": 2}, "grid": {"width": [32, 64], "lr": [1e-3]}})");

  ASSERT_TRUE(json) << json.error().describe();
  ASSERT_EQ(json->runs.size(), toml.runs.size());
  for (std::size_t i = 0; i < toml.runs.size(); ++i) EXPECT_EQ(json->runs[i].id, toml.runs[i].id);
}

// Stores hold results under these ids. A change here means that every sweep of every user is
// trained again: it must be meant, and kNumericsVersion or the schema must say why.
TEST_F(Expand, KeepsTheIdsOfEarlierVersions) {
  const Expansion plan = expand(
      "seeds = 2\n[fixed]\nunique_tokens = 32768\nlayers = 2\n[grid]\nwidth = [32]\nepochs = [1, "
      "4]\n");

  std::vector<std::string> ids;
  for (const PlannedRun& run : plan.runs) ids.push_back(run.id);
  EXPECT_THAT(ids,
              ElementsAre("0ea05656e9ca3a8661d3edce6fce5d61",
                          "a5195f3e014ef70ceff4b00ecda26dfe",
                          "251ed9f0af3eb63e223f38c25c23641b",
                          "a2357fca3e3844b9259ed2fd8abbc9ae"));
  EXPECT_EQ(plan.runs[0].spec.seed, 4053752864533240);
  EXPECT_EQ(plan.runs[0].spec.subset_seed, 1650900408724114);
}

// The files that users start from.
TEST(ShippedSweeps, ExpandToTheRunsTheyPromise) {
  const PreparedFolder folder;
  const ExpandOptions options{.data = folder.file("data")};
  const auto expansion = [&](const std::string& file) {
    const auto text = real_files().read(Path(RATION_ROOT) / "sweeps" / file);
    const Result<Sweep> sweep = read_sweep(text.value(), file);
    EXPECT_TRUE(sweep) << sweep.error().describe();
    Result<Expansion> plan = scheduler::expand(*sweep, real_files(), options);
    EXPECT_TRUE(plan) << plan.error().describe();
    return std::move(*plan);
  };

  const Expansion quickstart = expansion("quickstart.toml");
  const Expansion tiny = expansion("tiny.toml");

  EXPECT_THAT(quickstart.runs, SizeIs(78));
  EXPECT_THAT(quickstart.notes, IsEmpty());
  EXPECT_THAT(tiny.runs, SizeIs(6));
  EXPECT_THAT(tiny.notes, IsEmpty());
  std::set<double> epochs;
  for (const PlannedRun& run : quickstart.runs) epochs.insert(run.facts.epochs);
  EXPECT_THAT(epochs, ElementsAre(1, 2, 4, 8, 16, 32));
}

TEST(StarterSweep, ExpandsOverAnyFolderName) {
  const PreparedFolder folder;
  for (const char* name : {"data", "a \"quoted\" \\ folder", "caf\xc3\xa9"}) {
    const auto plan = folder.expand(starter_sweep(name), {.data = folder.file("data")});

    ASSERT_TRUE(plan) << plan.error().describe();
    EXPECT_THAT(plan->runs, SizeIs(60));
  }
  EXPECT_THAT(starter_sweep("data"),
              HasSubstr("width = [16, 32, 64]                        # features, 2 "
                        "to 65536\n"));
}

TEST_F(Expand, ReadsWhatARunTakesOfAGpu) {
  const std::string body = "[fixed]\ntokens = 6400\n[grid]\nwidth = [16, 32]\n";
  const Expansion plan = expand(body +
                                "[derive]\ngpu = 'if(width > 16, 0.5, 0.25)'\n[zip]\ndevice = "
                                "['cuda']\ngpu_mem = ['10GiB']\n");

  ASSERT_EQ(plan.runs.size(), 2);
  EXPECT_EQ(plan.runs[0].execution.gpu_mem, 10.0 * (1 << 30));
  EXPECT_EQ(plan.runs[0].execution.gpu, 0.25);
  EXPECT_EQ(plan.runs[1].execution.gpu, 0.5);
  EXPECT_EQ(plan.runs[0].id, expand(body).runs[0].id) << "it changes no result: the same run";
}

TEST_F(Expand, RefusesAPartOfAGpuThatIsNone) {
  for (const char* line : {"gpu = 1.5", "gpu = -1", "gpu_mem = '10Gtok'", "gpu_mem = -1"})
    EXPECT_THAT(problems(std::string("[fixed]\ntokens = 6400\n") + line + "\n"),
                ElementsAre(testing::StartsWith("4:")))
        << line;
}

// Each example of the documentation that ends in a line `# N runs` has that many.
TEST(Documentation, SweepExamplesHaveTheRunsTheySay) {
  const PreparedFolder folder(10'000'000);
  const std::string page = real_files().read(Path(RATION_ROOT) / "docs/sweeps.md").value();
  constexpr std::string_view kFence = "```toml\n";
  int examples = 0;

  for (std::size_t at = page.find(kFence); at != std::string::npos;
       at = page.find(kFence, at + 1)) {
    const std::size_t begin = at + kFence.size();
    const std::string example = page.substr(begin, page.find("```", begin) - begin);
    const auto plan = folder.expand(example, {.data = folder.file("data")});
    ASSERT_TRUE(plan) << example << plan.error().describe();
    EXPECT_THAT(example, testing::EndsWith(fmt::format("\n# {} runs\n", plan->runs.size())));
    ++examples;
  }

  EXPECT_EQ(examples, 12);
}

constexpr const char* kTrunk =
    "[fixed]\nschedule = 'wsd'\nbatch_sequences = 4\ncontext = 64\nwarmup_fraction = 0.05\n"
    "[trunk]\ntokens = [25600, 51200, 102400]\n";

TEST_F(Expand, TrunkMakesShorterRunsBeginWithCheckpointsOfTheLongest) {
  const Expansion plan = expand(kTrunk);

  ASSERT_THAT(plan.runs, SizeIs(3));
  const PlannedRun& trunk = plan.runs[0];
  EXPECT_EQ(trunk.spec.tokens, 102400);
  EXPECT_EQ(trunk.spec.branch_from, "");
  EXPECT_EQ(trunk.execution.keep_steps, "80,160");  // of 100 and 200 steps, the last 20 % decay
  std::set<std::int64_t> steps;
  for (std::size_t i = 1; i < 3; ++i) {
    const PlannedRun& branch = plan.runs[i];
    EXPECT_EQ(branch.spec.branch_from, trunk.id);
    EXPECT_EQ(branch.spec.seed, trunk.spec.seed);
    EXPECT_EQ(branch.id, run::run_id(branch.spec));
    EXPECT_NEAR(branch.facts.flops / trunk.facts.flops,
                0.2 * static_cast<double>(branch.spec.tokens) / 102400,
                1e-12);
    steps.insert(branch.spec.branch_step);
  }
  EXPECT_EQ(steps, (std::set<std::int64_t>{80, 160}));
  EXPECT_THAT(plan.notes, testing::Contains(HasSubstr("2 runs branch off longer ones")));
}

TEST_F(Expand, TrunkGivesEachReplicaAndEachPointATrunkOfItsOwn) {
  const Expansion plan = expand(std::string("seeds = 2\n") + kTrunk + "[grid]\nwidth = [32, 64]\n");

  ASSERT_THAT(plan.runs, SizeIs(12));
  std::map<std::string, int> branches;
  for (const PlannedRun& run : plan.runs)
    if (!run.spec.branch_from.empty()) ++branches[run.spec.branch_from];
  EXPECT_THAT(branches, SizeIs(4));
  for (const PlannedRun& run : plan.runs)
    if (const auto found = branches.find(run.spec.branch_from); found != branches.end()) {
      const auto trunk = std::ranges::find(plan.runs, found->first, &PlannedRun::id);
      ASSERT_NE(trunk, plan.runs.end());
      EXPECT_EQ(trunk->spec.width, run.spec.width);
      EXPECT_EQ(trunk->replica, run.replica);
    }
}

TEST_F(Expand, TrunkIsAnOrdinaryRunThatOtherBlocksMayAskForToo) {
  const Expansion plan = expand(
      "[[block]]\n[block.fixed]\nschedule = 'wsd'\ntokens = 102400\n"
      "[[block]]\n[block.fixed]\nschedule = 'wsd'\n[block.trunk]\ntokens = [51200, 102400]\n");

  ASSERT_THAT(plan.runs, SizeIs(2));
  EXPECT_EQ(plan.merged, 1);
  EXPECT_EQ(plan.runs[1].spec.branch_from, plan.runs[0].id);
  EXPECT_NE(plan.runs[0].execution.keep_steps, "");
}

TEST_F(Expand, TrunkRefusesWhatBranchesCannotShare) {
  EXPECT_THAT(problems("[trunk]\ntokens = [25600, 51200]\n"),
              ElementsAre(HasSubstr("schedule = \"cosine\" has not")));
  EXPECT_THAT(problems("[fixed]\nschedule = 'wsd'\n[trunk]\nlr = [1, 2]\n"),
              ElementsAre(HasSubstr("[trunk] takes tokens or epochs, not lr")));
  EXPECT_THAT(problems("[fixed]\nschedule = 'wsd'\n[derive]\nlr = '1e-8 * tokens'\n"
                       "[trunk]\ntokens = [25600, 51200]\n"),
              ElementsAre(HasSubstr("differ in lr, not in length alone")));
  EXPECT_THAT(problems("[fixed]\nschedule = 'wsd'\nwarmup_fraction = 0.5\n"
                       "[trunk]\ntokens = [25600, 102400]\n"),
              ElementsAre(HasSubstr("within the warm-up")));
  EXPECT_THAT(problems("[fixed]\ntokens = 6400\nbranch_step = 4\n"),
              ElementsAre(HasSubstr("branch_step cannot be set: it follows from [trunk]")));
}

TEST_F(Expand, PointsAtTheSettingOfExpertsThatIsToBlame) {
  const auto at = [&](const std::string& setting) {
    const auto all = problems(
        "[fixed]\ntokens = 6400\ncontext = 64\nexperts = 4\nrouter = "
        "'smear'\nexpert_chunk = 32\n" +
        setting);
    return all.size() == 1 ? all[0] : fmt::format("{} problems", all.size());
  };

  EXPECT_EQ(at(""), "0 problems");
  EXPECT_THAT(at("[[block]]\n[block.fixed]\nexpert_chunk = 64"),
              StartsWith("10:16 expert_chunk = 64"));
  EXPECT_THAT(at("precision = 'bf16'"), StartsWith("8:13 precision"));
  EXPECT_THAT(at("expert_kind = 'lowrank'\nexpert_rank = 1000"), StartsWith("9:15 expert_rank"));
  EXPECT_THAT(at("[[block]]\n[block.fixed]\nrouter = 'dselect'\nexperts = 1"),
              StartsWith("11:11 experts = 1"));
}

TEST_F(Expand, RefusesExpertsWhereTheWorkerWould) {
  const std::string top1 =
      "[fixed]\ntokens = 6400\ncontext = 64\nrouter = 'top1'\nexpert_chunk = 32\n";

  EXPECT_THAT(problems(top1 + "device = 'auto'\nrouter_balance = 0.1"), IsEmpty());
  EXPECT_THAT(problems(top1 + "device = 'cuda'"),
              ElementsAre(StartsWith("7:10 device = \"cuda\": router \"top1\"")));
  EXPECT_THAT(problems(top1 + "router_balance = 0.1\nmicro_batch_sequences = 2"),
              ElementsAre(StartsWith("7:18 router_balance = 0.1 compares all sequences")));
  EXPECT_THAT(problems(top1 + "router_balance = 0.1\nprocesses = 2"),
              ElementsAre(HasSubstr("which processes = 2 computes in parts")));
}

TEST_F(Expand, TrunkRefusesWhatFollowsTheRunsLength) {
  const std::string trunk = "[trunk]\ntokens = [25600, 51200]\n[fixed]\nschedule = 'wsd'\n";

  EXPECT_THAT(problems(trunk + "context = 64\nexpert_chunk = 32\nrouter = 'st_gumbel'"),
              ElementsAre(HasSubstr("router = \"st_gumbel\" follows the run's length")));
  EXPECT_THAT(problems(trunk + "context = 64\nexpert_chunk = 32\nrouter = 'top1'"), IsEmpty());
}

TEST_F(Expand, NamesSettingsThatNoRunReads) {
  const std::string fixed = "[fixed]\ntokens = 6400\ncontext = 64\nexpert_chunk = 32\n";

  EXPECT_THAT(expand(fixed + "router = 'smear'\nrouter_balance = 0.5\ntag_noise = 0.7").notes,
              ElementsAre("router_balance, tag_noise are given, and no run reads them"));
  EXPECT_THAT(expand(fixed + "router = 'hash'\nexpert_kind = 'adapter'\nrouter_lr = 5").notes,
              ElementsAre("router_lr is given, and no run reads it"));
  EXPECT_THAT(expand("[fixed]\ntokens = 6400\nrouter = 'none'\nexpert_kind = 'adapter'").notes,
              ElementsAre("expert_kind is given, and no run reads it"));
  // One that some run reads, and one that says what holds anyway.
  EXPECT_THAT(expand(fixed + "router_balance = 0.5\n[grid]\nrouter = ['smear', 'top1']").notes,
              IsEmpty());
  EXPECT_THAT(expand(fixed + "router = 'smear'\nrouter_balance = 0.0").notes, IsEmpty());
}

}  // namespace
}  // namespace ration::scheduler
