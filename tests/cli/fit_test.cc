#include <gmock/gmock.h>

#include <cmath>

#include "../store/store_fixture.h"
#include "cli/commands.h"
#include "fit/law.h"

namespace ration::cli {
namespace {

using testing::AllOf;
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

Json json(const Outcome& outcome) {
  Result<Json> document = parse_json(outcome.out, "stdout");
  EXPECT_TRUE(document) << outcome.out << outcome.err;
  return document.value_or(Json());
}

const std::string kPublished = RATION_PUBLISHED;

class FitCommand : public testing::Test {
 protected:
  Outcome fit(std::vector<std::string> more = {}, const std::string& law = "chinchilla") {
    std::vector<std::string> words = {"fit",
                                      kPublished + "/chinchilla_245.csv",
                                      "--drop-outliers",
                                      "--law",
                                      law,
                                      "--bootstrap",
                                      "40",
                                      "-o",
                                      file_};
    words.insert(words.end(), more.begin(), more.end());
    return ration(words);
  }

  std::string write(const std::string& name, const std::string& text) {
    EXPECT_TRUE(real_files().write_whole(folder_ / name, text));
    return (folder_ / name).string();
  }

  test::TemporaryFolder folder_;
  std::string file_ = (folder_ / "fit.json").string();
};

TEST_F(FitCommand, PrintsParametersIntervalsAndHowTheSearchWent) {
  const Outcome outcome = fit();

  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("240 runs"),
                    HasSubstr("90 % interval"),
                    HasSubstr("477.8259"),
                    HasSubstr("0.001018274018"),
                    HasSubstr("of 100 starts agree")));
  EXPECT_THAT(outcome.err, HasSubstr("5 rows left out"));
}

TEST_F(FitCommand, WritesTheDocumentThatItPrints) {
  const Json document = json(fit({"--json"}));

  EXPECT_EQ(document["schema"], "ration.fit/1");
  EXPECT_EQ(document["law"], "chinchilla");
  EXPECT_EQ(document["runs"], 240);
  for (const char* name : {"A", "B", "E", "alpha", "beta"}) {
    const Json& p = document["parameters"][name];
    EXPECT_LT(p["low"], p["value"]) << name;
    EXPECT_GT(p["high"], p["value"]) << name;
  }
  EXPECT_EQ(*parse_json(*real_files().read(file_), file_), document);
}

TEST_F(FitCommand, PutsAllLawsSideBySide) {
  const Outcome outcome = ration({"fit",
                                  kPublished + "/quickstart_runs.csv",
                                  "--delta",
                                  "0.03",
                                  "--bootstrap",
                                  "20",
                                  "--compare"});

  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("laws side by side"),
                    HasSubstr("chinchilla-tied"),
                    HasSubstr("data-constrained-data")));
}

TEST_F(FitCommand, AnswersFourAndWritesNothingWhereTheRunsCannotBearTheLaw) {
  const Outcome refused = fit({}, "data-constrained-data");

  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("not to be trusted"), HasSubstr("no run repeats")));
  EXPECT_THAT(refused.out, HasSubstr("rd_star")) << "the fit is shown all the same";
  EXPECT_FALSE(real_files().exists(file_));

  EXPECT_EQ(json(fit({"--json"}, "data-constrained-data"))["trusted"], false);
  EXPECT_EQ(fit({"--force"}, "data-constrained-data").code, 0);
  EXPECT_TRUE(real_files().exists(file_));
  EXPECT_EQ(ration({"plan", "--fit", file_, "--budget", "1e21", "--unique", "1e9"}).code, 4);
}

TEST_F(FitCommand, NamesFileLineAndColumnOfBadCellsAndWritesNothing) {
  const std::string table =
      write("bad.csv", "params,tokens,loss\n1e9,2e10,2.5\n1e9,2e10,nan\n1e9,zero,2.5\n");

  const Outcome outcome = ration({"fit", table, "-o", file_});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("bad.csv:3:10"), HasSubstr("bad.csv:4:5"), HasSubstr("zero")));
  EXPECT_FALSE(real_files().exists(file_));
}

TEST_F(FitCommand, NamesEveryWrongOption) {
  const Outcome outcome = fit({"--delta", "0", "--interval", "2"}, "chinchila");

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(
      outcome.err,
      AllOf(HasSubstr("did you mean \"chinchilla\""), HasSubstr("delta"), HasSubstr("interval")));
}

TEST_F(FitCommand, PlansAndPredictsFromItsFile) {
  ASSERT_EQ(fit().code, 0);
  const std::string table = write("new.csv", "name,params,tokens\n\"a, b\",1e9,2e10\nc,2e9,4e10\n");

  const Json plan =
      json(ration({"plan", "--fit", file_, "--budget", "1e21flop", "--unique", "1Ttok", "--json"}));
  const Outcome text = ration({"plan", "--fit", file_, "--budget", "1e21", "--unique", "1e12"});
  const Outcome predicted = ration({"predict", file_, table});

  EXPECT_EQ(plan["schema"], "ration.plan/1");
  EXPECT_LT(plan["params"]["low"], plan["params"]["value"]);
  EXPECT_NEAR(plan["params"]["value"].get<double>() * plan["tokens"]["value"].get<double>() * 6,
              1e21,
              1e12);
  EXPECT_THAT(text.out, AllOf(HasSubstr("recommended"), HasSubstr("plain Chinchilla plan")));
  EXPECT_THAT(predicted.out,
              HasSubstr("name,params,tokens,predicted_loss,low,high\n\"a, b\",1e9,2e10,"));
}

TEST_F(FitCommand, PlansOverARangeOfBudgets) {
  ASSERT_EQ(fit().code, 0);
  const std::string table = (folder_ / "frontier.csv").string();
  const Outcome outcome = ration({"plan",
                                  "--fit",
                                  file_,
                                  "--frontier",
                                  "1e20flop:1e22flop:3",
                                  "--unique",
                                  "1Ttok",
                                  "--csv",
                                  table,
                                  "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json document = json(outcome);
  EXPECT_EQ(document["schema"], "ration.frontier/1");
  EXPECT_EQ(document["frontier"].size(), 3U);
  EXPECT_THAT(*real_files().read(table), HasSubstr("\n1e+21,"));
}

TEST_F(FitCommand, PlansWithinTimeMemoryAndPools) {
  ASSERT_EQ(fit().code, 0);
  const Json document = json(ration({"plan",
                                     "--fit",
                                     file_,
                                     "--time",
                                     "1h",
                                     "--speed",
                                     "100M=1Mtok",
                                     "--memory",
                                     "16GB",
                                     "--served",
                                     "0",
                                     "--pool",
                                     "web=10Btok",
                                     "--pool",
                                     "code=1Btok:0.25",
                                     "--json"}));
  EXPECT_NEAR(document["seconds"].get<double>(), 3600, 1);
  EXPECT_TRUE(document["budget"].is_null());
  EXPECT_LE(document["params"]["value"].get<double>(), 1e9);
  EXPECT_NEAR(document["pools"][1]["share"].get<double>(), 0.25, 1e-12);
  EXPECT_TRUE(document["exchange"].is_object());
}

TEST_F(FitCommand, FindsTheBudgetOfALoss) {
  ASSERT_EQ(fit().code, 0);
  const Json document =
      json(ration({"plan", "--fit", file_, "--loss", "2.2", "--unique", "1Ttok", "--json"}));
  EXPECT_NEAR(document["loss"]["value"].get<double>(), 2.2, 1e-5);
}

TEST_F(FitCommand, DrawsThePlan) {
  ASSERT_EQ(fit().code, 0);
  const std::string page = (folder_ / "plan.html").string();
  const Outcome outcome = ration({"plan",
                                  "--fit",
                                  file_,
                                  "--budget",
                                  "1e21flop",
                                  "--unique",
                                  "1Ttok",
                                  "--figure",
                                  page,
                                  "--details"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("what each epoch buys"));
  EXPECT_THAT(*real_files().read(page), HasSubstr("Recommendation"));
}

TEST_F(FitCommand, NamesEveryWrongLimit) {
  ASSERT_EQ(fit().code, 0);
  const Outcome outcome = ration({"plan",
                                  "--fit",
                                  file_,
                                  "--budget",
                                  "1e21flop",
                                  "--loss",
                                  "2",
                                  "--pool",
                                  "web",
                                  "--speed",
                                  "fast",
                                  "--unique",
                                  "1B"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("--pool"), HasSubstr("--speed"), HasSubstr("give one of them")));
  EXPECT_THAT(ration({"plan", "--fit", file_, "--frontier", "1e21", "--unique", "1B"}).err,
              HasSubstr("LOW:HIGH"));
}

TEST_F(FitCommand, PlanNamesWhatIsMissing) {
  const Outcome outcome = ration({"plan", "--budget", "1e21tok"});

  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("--budget"), HasSubstr("--unique is missing")));
}

class StoredFits : public store::StoreTest {
 protected:
  // 60 finished runs, two replicas a setting, that follow the data-constrained law.
  void fill() {
    const fit::Coordinates law = {2.1, 2.9, 0, 0.24, 0.26, std::log(12.0), std::log(15.0)};
    std::vector<run::RunSpec> specs;
    for (const std::int64_t width : {8, 16, 32})
      for (const std::int64_t unique : {6400, 64000})
        for (const std::int64_t epochs : {1, 2, 4, 8, 16})
          for (const std::int64_t seed : {0, 1}) {
            run::RunSpec spec = test::small_spec(width, seed);
            spec.unique_tokens = unique;
            spec.tokens = unique * epochs;
            specs.push_back(spec);
          }
    store::Writer writer = open_writer();
    const std::vector<std::int64_t> ids = add_sweep(writer, specs);
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const run::ParamCounts counts = run::count_params(specs[i]);
      fit::Points point;
      point.add(Params(counts.block + counts.head),
                Tokens(static_cast<double>(specs[i].tokens)),
                Tokens(static_cast<double>(specs[i].unique_tokens)));
      double log_loss = 0;
      fit::find_law("data-constrained")->evaluate(law, point, {&log_loss, 1}, {});
      const double noise = 0.005 * std::sin(static_cast<double>(37 * i));
      finish(writer, ids[i], specs[i], std::exp(log_loss + noise));
    }
  }

  std::string store() { return folder.path().string(); }
};

TEST_F(StoredFits, FitASweepAndPlanWithTheNewestFit) {
  fill();

  const Outcome fitted =
      ration({"fit", "tiny", "--store", store(), "--delta", "0.01", "--bootstrap", "30"});
  const Outcome planned =
      ration({"plan", "--store", store(), "--budget", "1e11", "--unique", "64000", "--json"});

  EXPECT_EQ(fitted.code, 0) << fitted.out << fitted.err;
  EXPECT_THAT(fitted.out,
              AllOf(HasSubstr("60 runs of 30 settings from tiny"), HasSubstr("6nd_head")));
  EXPECT_THAT(fitted.err, HasSubstr("stored as fit 1"));
  EXPECT_EQ(json(planned)["params_convention"], "6nd_head");
}

TEST_F(StoredFits, CountParametersAsAsked) {
  fill();

  const auto largest = [&](const std::string& count) {
    const Json document = json(ration({"fit",
                                       "--store",
                                       store(),
                                       "--law",
                                       "chinchilla",
                                       "--params",
                                       count,
                                       "--bootstrap",
                                       "0",
                                       "--force",
                                       "--json"}));
    return document["range"]["params"]["high"].get<double>();
  };

  const run::ParamCounts counts = run::count_params(test::small_spec(32));
  EXPECT_DOUBLE_EQ(largest("head"), counts.block + counts.head);
  EXPECT_DOUBLE_EQ(largest("total"), counts.total);
  EXPECT_DOUBLE_EQ(largest("block"), counts.block);
}

TEST_F(StoredFits, SayWhatIsMissing) {
  EXPECT_THAT(ration({"plan", "--store", store(), "--budget", "1e11", "--unique", "1e5"}).err,
              HasSubstr("error"));
  { const store::Writer writer = open_writer(); }

  const Outcome fitted = ration({"fit", "--store", store()});
  const Outcome planned =
      ration({"plan", "--store", store(), "--budget", "1e11", "--unique", "1e5"});

  EXPECT_EQ(fitted.code, 2);
  EXPECT_THAT(fitted.err, HasSubstr("no finished run"));
  EXPECT_EQ(planned.code, 2);
  EXPECT_THAT(planned.err, HasSubstr("holds no fit"));
}

}  // namespace
}  // namespace ration::cli
