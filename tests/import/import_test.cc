#include "import/import.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <numbers>

#include "fit/table.h"
#include "support/temporary_folder.h"

namespace ration::import {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const Path kFixtures = RATION_FIXTURES;

class Import : public testing::Test {
 protected:
  Path write(const std::string& name, const std::string& text) {
    const Path path = folder_ / name;
    EXPECT_TRUE(real_files().make_folders(path.parent_path()));
    EXPECT_TRUE(real_files().write_whole(path, text));
    return path;
  }

  // The only run of that name.
  static ImportedRun run(const Imported& imported, const std::string& name) {
    for (const ImportedRun& run : imported.runs)
      if (run.run == name) return run;
    ADD_FAILURE() << "no run " << name;
    return {};
  }

  static Imported import(const std::vector<Path>& paths, const Options& options = {}) {
    Result<Imported> imported = import_runs(real_files(), paths, options);
    EXPECT_TRUE(imported) << imported.error().describe();
    return imported.value_or(Imported());
  }

  Imported imported(const std::string& text, const Options& options = {}) {
    return import({write("t.csv", text)}, options);
  }

  std::string problem(const std::string& text, const Options& options = {}) {
    const Result<Imported> imported = import_runs(real_files(), {write("t.csv", text)}, options);
    return imported ? "no problem" : imported.error().describe();
  }

  static std::string guesses(const Imported& imported) {
    std::string text;
    for (const Guess& guess : imported.guesses) text += guess.text + "\n";
    return text;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Import, ReadsTheRunsTableOfWandbsPage) {
  const Imported runs = import({kFixtures / "wandb/page.csv"});

  ASSERT_EQ(runs.runs.size(), 3U) << "the crashed run is no result";
  const ImportedRun last = run(runs, "large-4ep");
  EXPECT_EQ(last.params, 350e6);
  EXPECT_EQ(last.tokens, 10e9);
  EXPECT_EQ(last.unique, 2.5e9);
  EXPECT_EQ(last.loss, 3.05) << "the held-out loss, not that of training";
  EXPECT_THAT(guesses(runs), HasSubstr("n_params_millions: taken as parameters in millions"));
  EXPECT_THAT(runs.notes, Contains(HasSubstr("1 run left out that did not finish")));
}

TEST_F(Import, KeepsUnfinishedRunsOnlyWhenAsked) {
  const auto all = import_runs(real_files(), {kFixtures / "wandb/page.csv"}, {.unfinished = true});

  ASSERT_FALSE(all) << "the crashed run has no loss";
  EXPECT_THAT(all.error().describe(),
              AllOf(HasSubstr("large-1ep"), HasSubstr("no loss"), HasSubstr("page.csv:5")));
}

TEST_F(Import, ReadsPrintedDictionariesInCells) {
  const Imported runs = import({kFixtures / "wandb/project.csv"}, {.bytes_per_token = 4});

  ASSERT_EQ(runs.runs.size(), 2U);
  EXPECT_DOUBLE_EQ(run(runs, "small").loss, 1.1 * 4 * std::numbers::ln2);
  EXPECT_EQ(run(runs, "large").params, 350e6);
  EXPECT_EQ(run(runs, "large").unique, 2.5e9);
  EXPECT_THAT(guesses(runs), HasSubstr("summary.eval/bits_per_byte: taken as bits a byte"));
}

TEST_F(Import, AsksForBytesATokenWhereLossesArePerByte) {
  const auto runs = import_runs(real_files(), {kFixtures / "wandb/project.csv"}, {});

  ASSERT_FALSE(runs);
  EXPECT_THAT(runs.error().describe(), HasSubstr("--bytes-per-token"));
}

TEST_F(Import, TakesWrappedConfigurationsAndPerplexities) {
  const Imported runs = import({kFixtures / "wandb/runs.jsonl"});

  EXPECT_EQ(run(runs, "a").params, 125e6);
  EXPECT_EQ(run(runs, "b").tokens, 10e9);
  EXPECT_EQ(run(runs, "a").loss, std::log(30.0));
  EXPECT_THAT(guesses(runs),
              AllOf(HasSubstr("column summary.val_ppl: taken as perplexity, loss = ln(value); say "
                              "--unit loss=nats otherwise"),
                    HasSubstr("tokens in billions")));
}

TEST_F(Import, TakesTheLastPointOfAHistory) {
  const Path sizes = write("sizes.csv", "name,size\na,10M\nb,40M\n");
  Options options{.columns = {.columns = {{"params", "size"}}}, .side_table = sizes};

  const Imported last = import({kFixtures / "wandb/history.csv"}, options);
  options.pick = Pick::best;
  const Imported best = import({kFixtures / "wandb/history.csv"}, options);

  ASSERT_EQ(last.runs.size(), 2U);
  EXPECT_EQ(run(last, "a").loss, 4.0);
  EXPECT_EQ(run(last, "a").tokens, 4e8);
  EXPECT_EQ(run(last, "b").params, 40e6);
  EXPECT_EQ(run(last, "b").loss, 3.8);
  EXPECT_EQ(run(best, "b").loss, 3.6);
  EXPECT_EQ(run(best, "b").tokens, 3e8) << "half way between the points with logged tokens";
}

TEST_F(Import, KeepsCheckpointsWithoutTheWarmUp) {
  const Path sizes = write("sizes.jsonl",
                           "{\"name\": \"a\", \"params\": 1e7, \"unique_tokens\": 3e8}\n"
                           "{\"name\": \"b\", \"params\": 4e7, \"unique_tokens\": 3e8}\n");
  const Imported runs = import({kFixtures / "wandb/history.csv"},
                               {.columns = {.loss_key = "train/loss"},
                                .side_table = sizes,
                                .checkpoints = true,
                                .drop_first = 0.3});

  std::vector<double> steps, unique;
  for (const ImportedRun& row : runs.runs)
    if (row.run == "a") steps.push_back(row.step.value_or(-1)), unique.push_back(row.unique);
  EXPECT_EQ(steps, (std::vector<double>{200, 400})) << "100 lies before 30 % of 401";
  EXPECT_EQ(unique, (std::vector<double>{2e8, 3e8})) << "no more unique tokens than seen so far";
}

TEST_F(Import, ReadsTheLinesOfAChart) {
  const Imported runs =
      import({kFixtures / "wandb/chart.csv"}, {.name = "n{params}", .tokens_per_step = 1e6});

  ASSERT_EQ(runs.runs.size(), 2U);
  EXPECT_EQ(run(runs, "n10M - v2").tokens, 200e6);
  EXPECT_EQ(run(runs, "n40M").params, 40e6);
  EXPECT_EQ(run(runs, "n40M").loss, 3.5);
}

TEST_F(Import, ReadsNestedKeysAndQuotedNumbersOfWandbsRunsTable) {
  const Imported runs = import({kFixtures / "wandb/table.csv"}, {.where = "eval/loss>0"});

  ASSERT_EQ(runs.runs.size(), 2U) << "a crashed run, and one that ended in NaN";
  const ImportedRun last = run(runs, "lucid-moon-13");
  EXPECT_EQ(last.params, 124439808);
  EXPECT_EQ(last.tokens, 9999220736);
  EXPECT_EQ(last.unique, 2.5e9);
  EXPECT_EQ(last.loss, 3.2519);
  EXPECT_THAT(guesses(runs),
              AllOf(HasSubstr("eval/loss: taken as the loss in nats"),
                    HasSubstr("train/tokens"),
                    HasSubstr("model.n_params")));
}

TEST_F(Import, NamesTheRunOfWandbsTableThatEndedInNaN) {
  const auto runs = import_runs(real_files(), {kFixtures / "wandb/table.csv"}, {});

  ASSERT_FALSE(runs);
  EXPECT_THAT(runs.error().describe(),
              AllOf(HasSubstr("vivid-sun-15"), HasSubstr("loss is nan"), HasSubstr("table.csv:5")));
}

TEST_F(Import, TakesTheLastNumberOfAChartsLineAndNeitherBandsNorCounters) {
  const Imported runs =
      import({kFixtures / "wandb/panel.csv"},
             {.where = "eval/loss>0", .name = "{params}-{*}", .tokens_per_step = 524288});

  ASSERT_EQ(runs.runs.size(), 2U);
  EXPECT_EQ(run(runs, "124M-web").loss, 3.5);
  EXPECT_EQ(run(runs, "124M-web").tokens, 3000 * 524288.0);
  EXPECT_EQ(run(runs, "355M-web").loss, 3.6) << "behind it stands NaN";
  EXPECT_EQ(run(runs, "355M-web").tokens, 2000 * 524288.0);
  EXPECT_THAT(guesses(runs), HasSubstr("eval/loss: taken as the loss in nats"));
}

TEST_F(Import, ReadsFoldersOfEventFiles) {
  const Imported runs = import({kFixtures / "tensorboard"}, {.name = "{params}-{tokens}-{unique}"});

  ASSERT_EQ(runs.runs.size(), 2U);
  const ImportedRun large = run(runs, "lm1-2b8-55b-5b");
  EXPECT_EQ(large.params, 2.8e9);
  EXPECT_EQ(large.tokens, 55e9);
  EXPECT_EQ(large.unique, 5e9);
  EXPECT_EQ(large.loss, 3.1);
  EXPECT_EQ(run(runs, "lm1-146m-14b-7b").loss, 3.5);
  EXPECT_THAT(guesses(runs), HasSubstr("name lm1-146m-14b-7b: read as params 146000000"));
}

TEST_F(Import, FoldsTrainAndEvalFoldersIntoTheirRun) {
  const std::string events =
      real_files()
          .read(kFixtures / "tensorboard/lm1-2b8-55b-5b/events.out.tfevents.1700000000.host")
          .value();
  write("logs/a/train/events.out.tfevents.1", events);
  write("logs/a/eval/events.out.tfevents.1", events.substr(0, events.size() - 3));
  const Path sizes = write("sizes.csv", "run,params,tokens\na,1e9,2e10\n");

  const Imported runs = import({folder_ / "logs"}, {.side_table = sizes});

  ASSERT_EQ(runs.runs.size(), 1U);
  EXPECT_EQ(runs.runs[0].run, "a");
  EXPECT_THAT(guesses(runs), HasSubstr("column eval/val/loss"));
  EXPECT_EQ(runs.runs[0].loss, 3.5) << "the last record of eval is torn";
  EXPECT_THAT(runs.notes, Contains(HasSubstr("unfinished record")));
}

TEST_F(Import, ReadsScalarDownloadsOfTensorBoard) {
  const std::vector<Path> files = {
      write("run-n10M-tag-val_loss.csv", "Wall time,Step,Value\n1.7e9,100,4.5\n1.7e9,200,4.25\n"),
      write("run-n40M-tag-val_loss.json", "[[1.7e9, 100, 4.1], [1.7e9, 200, 3.75]]"),
      write("run-n40M-tag-train_loss.json", "[[1.7e9, 100, 3.9], [1.7e9, 200, 3.6]]")};

  const Imported runs = import(files, {.name = "n{params}", .tokens_per_step = 5e5});

  ASSERT_EQ(runs.runs.size(), 2U);
  EXPECT_EQ(run(runs, "n10M").loss, 4.25);
  EXPECT_EQ(run(runs, "n40M").loss, 3.75);
  EXPECT_EQ(run(runs, "n40M").tokens, 1e8);
}

TEST_F(Import, ReadsTheStateFilesOfATrainer) {
  write("out/n10M/trainer_state.json",
        "{\"global_step\": 20, \"log_history\": [{\"step\": 10, \"loss\": 5.0}, {\"step\": 10, "
        "\"eval_loss\": 4.9}, {\"step\": 20, \"loss\": 4.0}, {\"step\": 20, \"eval_loss\": NaN}, "
        "{\"step\": 20, \"eval_loss\": 4.2}]}");

  const Imported runs = import({folder_ / "out"}, {.name = "n{params}", .tokens_per_step = 1e6});

  ASSERT_EQ(runs.runs.size(), 1U);
  EXPECT_EQ(runs.runs[0].loss, 4.2) << "the later value of a step counts";
  EXPECT_EQ(runs.runs[0].tokens, 2e7);
}

TEST_F(Import, ConvertsEveryUnitOfLoss) {
  const std::vector<std::pair<std::string, double>> units = {
      {"nats", 2.0},
      {"bits", 2 * std::numbers::ln2},
      {"nats-per-byte", 8.0},
      {"bits-per-byte", 8 * std::numbers::ln2},
      {"perplexity", std::numbers::ln2}};
  for (const auto& [unit, loss] : units) {
    const Imported runs =
        imported("run,params,tokens,y\na,1e6,1e8,2\n",
                 {.columns = {.units = {{"loss", unit}}, .loss_key = "y"}, .bytes_per_token = 4});
    ASSERT_EQ(runs.runs.size(), 1U);
    EXPECT_DOUBLE_EQ(runs.runs[0].loss, loss) << unit;
    EXPECT_THAT(guesses(runs), Not(HasSubstr("column y"))) << "what is told is no guess";
  }
}

TEST_F(Import, GuessesUnitsFromNamesAndShowsThem) {
  struct Case {
    std::string column, cell;
    double loss;
  };
  for (const Case& c : {Case{"val_bpt", "4", 4 * std::numbers::ln2},
                        Case{"eval/bpb", "1", 4.2 * std::numbers::ln2},
                        Case{"valid_perplexity", "20", std::log(20.0)},
                        Case{"val_loss", "3.25", 3.25},
                        Case{"loss", "25", std::log(25.0)}}) {
    const Imported runs =
        imported("run,params_b,tokens_m," + c.column + "\na,0.125,2500," + c.cell + "\n",
                 {.bytes_per_token = 4.2});
    ASSERT_EQ(runs.runs.size(), 1U) << c.column;
    EXPECT_EQ(runs.runs[0].params, 125e6);
    EXPECT_EQ(runs.runs[0].tokens, 2.5e9);
    EXPECT_DOUBLE_EQ(runs.runs[0].loss, c.loss) << c.column;
    EXPECT_THAT(guesses(runs),
                AllOf(HasSubstr("column " + c.column + ":"),
                      HasSubstr("params_b: taken as parameters in billions"),
                      HasSubstr("tokens_m: taken as training tokens in millions"),
                      HasSubstr("every token is taken as seen once")));
  }
}

TEST_F(Import, CountsTokensFromStepsBatchesAndEpochs) {
  EXPECT_EQ(
      imported("run,params,step,batch_size,seq_len,loss\na,1e6,1000,256,2048,3\n").runs[0].tokens,
      1000.0 * 256 * 2048);
  EXPECT_EQ(imported("run,params,unique_tokens,epochs,loss\na,1e6,1e8,4,3\n").runs[0].tokens, 4e8);
  EXPECT_EQ(imported("run,params,tokens,epochs,loss\na,1e6,1e8,400,3\n",
                     {.columns = {.units = {{"epochs", "percent"}}}})
                .runs[0]
                .unique,
            25e6);
  EXPECT_EQ(imported("run,params,tokens,loss\na,1e6,100,3\n",
                     {.columns = {.units = {{"tokens", "steps"}}}, .tokens_per_step = 1e6})
                .runs[0]
                .tokens,
            1e8);
}

TEST_F(Import, AsksForAUnitWhereCountsAreTooSmall) {
  EXPECT_THAT(
      problem("run,params,tokens,loss\na,2.8,55,3\nb,7,55,2.9\n"),
      AllOf(HasSubstr("2.8 parameters: in which unit?"), HasSubstr("--unit params=billions")));
  EXPECT_EQ(imported("run,params,tokens,loss\na,2.8,55,3\n",
                     {.columns = {.units = {{"params", "billions"}, {"tokens", "billions"}}}})
                .runs[0]
                .tokens,
            55e9);
}

TEST_F(Import, RefusesMixedUnitsByValueAndNamesTheRows) {
  const std::string text = problem(
      "run,params,tokens,val_loss\na,1e8,1e9,3.2\nb,2e8,1e9,21.1\nc,3e8,1e9,2.9\nd,4e8,1e9,17.3\n");

  EXPECT_THAT(text,
              AllOf(HasSubstr("run b: mixed units of loss: 21.1 looks like a perplexity"),
                    HasSubstr("t.csv:3"),
                    HasSubstr("t.csv:5"),
                    Not(HasSubstr("t.csv:2")),
                    HasSubstr("--unit loss=nats")));
  EXPECT_THAT(
      problem("run,params,tokens,ppl\na,1e8,1e9,24\nb,2e8,1e9,2.9\nc,3e8,1e9,20\n"),
      AllOf(HasSubstr("run b: mixed units of loss: 2.9 looks like nats"), HasSubstr("t.csv:3")));
}

TEST_F(Import, RefusesMixedUnitsByColumnUnlessToldToConvert) {
  const std::string text =
      "run,params,tokens,loss,loss_unit\na,1e8,1e9,3,nats\nb,2e8,1e9,4,bits\nc,3e8,1e9,2.5,nats\n";

  EXPECT_THAT(
      problem(text),
      AllOf(
          HasSubstr("\"bits\" among nats"), HasSubstr("t.csv:3"), HasSubstr("--unit loss=column")));
  const Imported runs = imported(text, {.columns = {.units = {{"loss", "column"}}}});
  EXPECT_DOUBLE_EQ(run(runs, "b").loss, 4 * std::numbers::ln2);
  EXPECT_EQ(run(runs, "c").loss, 2.5);
}

TEST_F(Import, NamesEveryUnusableRow) {
  const std::string text = problem(
      "run,params,tokens,unique_tokens,loss\n"
      "good,1e8,2e9,1e9,3\n"
      "diverged,1e8,2e9,1e9,nan\n"
      "endless,inf,2e9,1e9,3\n"
      "empty,1e8,0,1e9,3\n"
      "minus,-1e8,2e9,1e9,3\n"
      "swapped,1e8,1e9,2e9,3\n");

  EXPECT_THAT(text,
              AllOf(HasSubstr("run diverged: loss is nan"),
                    HasSubstr("run endless: params is inf"),
                    HasSubstr("run empty"),
                    HasSubstr("run minus: params -100000000 is not above 0"),
                    HasSubstr("run swapped: 2000000000 unique tokens are more than")));
  EXPECT_THAT(text, AllOf(HasSubstr("t.csv:3"), HasSubstr("t.csv:7"), Not(HasSubstr("t.csv:2"))));
  EXPECT_THAT(problem("run,params,tokens,loss\na,1e8,2e9,12%\n"), HasSubstr("is a percentage"));
  EXPECT_THAT(problem("run,params,tokens,loss\na,1e8,2e9,high\n"),
              HasSubstr("\"high\" is not a number"));
}

TEST_F(Import, NamesRunsThatNobodyKnowsTheSizeOf) {
  EXPECT_THAT(problem("run,tokens,loss\na,2e9,3\nb,2e9,3.1\n"),
              AllOf(HasSubstr("params of 2 runs are unknown: a, b"), HasSubstr("--runs FILE")));
  EXPECT_THAT(problem("run,tokens,loss\nbase,2e9,3\n", {.name = "{params}-x"}),
              HasSubstr("run base: its name does not fit"));
  EXPECT_THAT(problem("run,params,tokens,loss\na,1e8,2e9,3\n",
                      {.columns = {.columns = {{"loss", "lost"}}}}),
              AllOf(HasSubstr("no column \"lost\" for loss"), HasSubstr("did you mean \"loss\"")));
  EXPECT_THAT(problem("run,params,tokens,loss\na,1e8,2e9,3\n", {.where = "sed=1"}),
              HasSubstr("no column \"sed\""));
}

TEST_F(Import, TellsDivergedRunsFromPointsThatWereNotLogged) {
  const std::string text =
      "run,step,params,tokens,loss\na,1,1e8,1e9,nan\na,2,1e8,2e9,3\na,3,1e8,3e9,2.9\na,4,1e8,4e9,"
      "nan\n";

  EXPECT_THAT(problem(text), AllOf(HasSubstr("run a: loss is nan"), HasSubstr("t.csv:5")));
  EXPECT_EQ(imported(text, {.where = "loss>0"}).runs[0].tokens, 3e9);
  EXPECT_EQ(imported(text, {.pick = Pick::best}).runs[0].loss, 2.9);
}

TEST_F(Import, KeepsReplicasApart) {
  const Imported runs =
      imported("run,params,tokens,loss\nx,1e8,2e9,3\nx,1e8,2e9,3.01\ny,1e8,4e9,2.9\n");

  EXPECT_EQ(run(runs, "x (2)").loss, 3.01);
  EXPECT_THAT(runs.notes, Contains(HasSubstr("1 run numbered")));
}

TEST_F(Import, WritesATableThatAFitReadsWithoutOptions) {
  const Imported runs = imported(
      "experiment,n_params_millions,train_tokens_b,num_epochs,val_ppl\n"
      "\"a, the first\",125,2.5,3,31.7\nb,350,10,1,19.9\n");

  const fit::Csv csv = fit::parse_csv(to_csv(runs), "runs.csv").value();
  const fit::RunTable table = fit::read_runs(csv).value();

  ASSERT_EQ(table.runs.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(table.runs[i].params.value, runs.runs[i].params);
    EXPECT_EQ(table.runs[i].tokens.value, runs.runs[i].tokens);
    EXPECT_EQ(table.runs[i].unique.value, runs.runs[i].unique) << "all digits";
    EXPECT_EQ(table.runs[i].loss.value, runs.runs[i].loss) << "all digits";
  }
  EXPECT_EQ(table.runs[0].unique.value, 2.5e9 / 3);
  EXPECT_EQ(table.runs[0].loss.value, std::log(31.7));
}

TEST_F(Import, SurvivesTruncationOfItsTextFiles) {
  for (const char* name : {"page.csv", "project.csv", "runs.jsonl", "chart.csv"}) {
    const std::string whole = real_files().read(kFixtures / "wandb" / name).value();
    for (std::size_t length = 0; length < whole.size(); length += 13) {
      const Path path = folder_ / name;  // without syncing the disk, 170 times
      std::ofstream(path) << whole.substr(0, length);
      const auto result = import_runs(real_files(), {path}, {.name = "{params}"});
      if (!result) {
        EXPECT_EQ(exit_code(result.error().kind), 2) << name << length;
      }
    }
  }
}

TEST(ImportOptions, AreChecked) {
  const std::vector<Error> problems =
      check(Options{.columns = {.columns = {{"parms", "x"}},
                                .units = {{"loss", "joules"}, {"params", "dozens"}, {"step", "1"}}},
                    .tokens_per_step = 0,
                    .bytes_per_token = -1,
                    .drop_first = 1});
  EXPECT_EQ(problems.size(), 7U);
}

}  // namespace
}  // namespace ration::import
