// What is said of a model's experts, against losses of models that are changed by hand.

#include "train/experts/report.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "train/experts/small_experts.h"
#include "train/experts/two_sources.h"
#include "train/heldout.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train::experts {
namespace {

using run::WorkerExit;
using test::expert_spec;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kWindows = 5;

// Text of one document, or, `cut`, of documents that are shorter than a chunk.
std::vector<std::int32_t> text_of(const run::RunSpec& spec, std::uint64_t seed, bool cut) {
  Stream stream(seed, StreamId::documents);
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < kWindows * spec.context + 1; ++i) {
    const bool ends = cut && i % 4 == 0;
    const auto other = static_cast<std::int32_t>(4 + stream.below(20));
    tokens.push_back(ends ? test::kEndToken : other);
  }
  return tokens;
}

Windows windows_of(const run::RunSpec& spec, std::int64_t source, std::int64_t told, bool cut) {
  return Windows(text_of(spec, static_cast<std::uint64_t>(source), cut),
                 spec.context,
                 {.source = told, .sources = run::sources_of(spec), .end_token = test::kEndToken});
}

struct Subject {
  explicit Subject(const run::RunSpec& one, std::vector<bool> cut = {false, false})
      : spec(one), model(spec, at::kDouble) {
    test::sharpen_routers(model.parameters());
    for (std::size_t s = 0; s < cut.size(); ++s)
      sources.push_back({.data = std::string(64, static_cast<char>('a' + s)),
                         .windows = text(static_cast<std::int64_t>(s), cut[s])});
  }

  Windows text(std::int64_t source, bool cut = false) const {
    return windows_of(spec, source, source, cut);
  }
  Json report() const { return expert_report(model, spec, sources); }

  run::RunSpec spec;
  Model model;
  std::vector<SourceText> sources;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Without expert 1 of layer 0, sources of tag 1 get expert 2, as if it had been copied there.
TEST(ExpertReport, SaysWhatASourceLosesWithoutAnExpert) {
  Subject s(expert_spec("tag"));
  const std::vector<double> usual = window_losses(s.model, s.sources[1].windows);
  const Json report = s.report();

  for (const std::string name : {"up.w", "down.w"})
    s.model.parameters()
        .at("h0.experts.1." + name)
        .value.detach()
        .copy_(s.model.parameters().at("h0.experts.2." + name).value.detach());
  std::vector<double> more = window_losses(s.model, s.sources[1].windows);
  for (std::size_t i = 0; i < more.size(); ++i) more[i] -= usual[i];
  double squares = 0;
  for (const double one : more) squares += std::pow(one - mean(more), 2);

  ASSERT_EQ(more.size(), static_cast<std::size_t>(kWindows));
  const Json& layer = report["layers"][0];
  EXPECT_NEAR(layer["ablation"][1][1], mean(more), 1e-12);
  EXPECT_NEAR(layer["ablation_error"][1][1], std::sqrt(squares / (kWindows - 1) / kWindows), 1e-12);
  EXPECT_NEAR(layer["ablation"][1][3], 0, 1e-15);
  EXPECT_GT(std::abs(mean(more)), 1e-3);
  EXPECT_NEAR(report["sources"][1]["loss_nats"], mean(usual), 1e-12);
}

// A source routed as another is one that is told to be it.
TEST(ExpertReport, SaysWhatASourceLosesRoutedAsAnother) {
  const Subject s(expert_spec("tag"));
  const Json report = s.report();

  const double usual = mean(window_losses(s.model, s.sources[0].windows));
  const double as_other = mean(window_losses(s.model, windows_of(s.spec, 0, 1, false)));
  EXPECT_NEAR(report["swap"][0][1], as_other - usual, 1e-12);
  EXPECT_NEAR(report["swap"][0][0], 0, 1e-15);
  EXPECT_GT(std::abs(as_other - usual), 1e-3);
}

TEST(ExpertReport, CountsUnitsAndWeightsOfEachSource) {
  const Subject s(expert_spec("tag"));
  const Json layer = s.report()["layers"][1];

  EXPECT_EQ(layer["units"], 2 * kWindows);
  EXPECT_EQ(layer["units_by_source"], (Json{kWindows, kWindows}));
  EXPECT_EQ(layer["mean"], (Json{0.5, 0.5, 0., 0.}));
  EXPECT_EQ(layer["mean_by_source"][1], (Json{0., 1., 0., 0.}));
  EXPECT_EQ(layer["entropy"], 0);
  EXPECT_EQ(layer["collapsed"], false);
  EXPECT_EQ(layer["uniform"], false);
  EXPECT_NEAR(layer["information"], 1, 1e-12);
}

TEST(ExpertReport, TakesEntropiesFromWhatARouterThinksAndMeansFromWhatComputes) {
  const Subject s(expert_spec("top1"));
  const Json report = s.report();

  for (std::size_t layer = 0; layer < 2; ++layer) {
    double sum = 0, units = 0;
    for (const SourceText& source : s.sources) {
      const Batch batch = source.windows.batch(std::vector<std::uint32_t>{0, 1, 2, 3, 4});
      const at::Tensor p = s.model.routings(batch.inputs, test::about(batch))
                               .layers[layer]
                               .soft.detach()
                               .contiguous();
      sum -= (p * at::log(p)).sum().item<double>() / std::log(4);
      units += static_cast<double>(p.numel()) / 4;
    }
    const Json& json = report["layers"][layer];
    EXPECT_NEAR(json["entropy"], sum / units, 1e-12);
    EXPECT_GT(json["entropy"], 0.1);
    for (const Json& weight : json["mean"]) {
      const double count = weight.get<double>() * units;  // of whole units
      EXPECT_NEAR(count, std::round(count), 1e-9);
    }
  }
}

// What is routed by nothing has no weights that could be shown, or given to another source.
TEST(ExpertReport, HasNoNumberForASourceWithoutUnits) {
  const Subject s(expert_spec("smear"), {false, true});
  const Json report = s.report();

  const Json& layer = report["layers"][0];
  EXPECT_EQ(layer["units_by_source"], (Json{2 * kWindows, 0}));
  EXPECT_TRUE(layer["mean_by_source"][1].is_null());
  EXPECT_TRUE(layer["ablation"][1].is_null());
  EXPECT_TRUE(layer["ablation_error"][1].is_null());
  EXPECT_TRUE(layer["specialised"].is_null());
  EXPECT_FALSE(layer.contains("information"));
  EXPECT_TRUE(layer["mean_by_source"][0].is_array());
  EXPECT_EQ(layer["ablation"][0].size(), 4U);
  EXPECT_TRUE(report["swap"][0][0].is_number());
  EXPECT_TRUE(report["swap"][0][1].is_null());
  EXPECT_TRUE(report["swap"][1][0].is_null());
  EXPECT_TRUE(report["swap"][1][1].is_null());
}

TEST(ExpertReport, OfTextThatNothingRoutesIsNoCollapse) {
  const Subject s(expert_spec("smear"), {true});
  const Json report = s.report();

  const Json& layer = report["layers"][0];
  EXPECT_EQ(layer["units"], 0);
  for (const std::string member : {"entropy", "collapsed", "uniform", "mean", "specialised"})
    EXPECT_TRUE(layer[member].is_null()) << member;
  const auto summary = routing_summary(s.model, s.spec, s.sources[0].windows, 3);
  ASSERT_TRUE(summary.has_value());
  EXPECT_EQ(summary->units, 0U);
  EXPECT_THAT(summary->entropies, ElementsAre());
}

TEST(ExpertReport, SummarisesTheFirstWindows) {
  const Subject s(expert_spec("smear"));
  const auto summary = routing_summary(s.model, s.spec, s.sources[0].windows, 3);

  ASSERT_TRUE(summary.has_value());
  EXPECT_EQ(summary->units, 6U);
  const Batch batch = s.sources[0].windows.batch(std::vector<std::uint32_t>{0, 1, 2});
  const auto routings = s.model.routings(batch.inputs, test::about(batch));
  ASSERT_EQ(summary->entropies.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const at::Tensor p = routings.layers[i].weights.detach();
    EXPECT_NEAR(
        summary->entropies[i], -(p * at::log(p)).sum().item<double>() / 6 / std::log(4), 1e-12);
  }
  const Subject random(expert_spec("random"));
  EXPECT_FALSE(routing_summary(random.model, random.spec, random.sources[0].windows, 3));
}

// A run that is trained, and what the program says of it.
class ReportOfARun : public testing::Test {
 protected:
  run::RunFolder trained() {
    const run::RunFolder folder = data.create("run");
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    const WorkerOutcome outcome = work({.run_folder = folder.path()}, world);
    if (outcome.exit != WorkerExit::done) throw std::runtime_error("the run failed");
    return folder;
  }

  WorkerOutcome write(const run::RunFolder& folder, std::vector<std::string> settings = {}) {
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    return write_experts(
        {.data = {}, .checkpoint = folder.path(), .output = output, .settings = settings},
        world,
        [this](const std::string& line) { said += line + "\n"; });
  }

  test::TinyData data;
  Path output = data / "experts.json";
  std::string said;
};

TEST_F(ReportOfARun, IsWrittenOfTheMainDataAndTheAuxiliarySources) {
  test::add_experts(data, "smear", true);
  const run::RunFolder folder = trained();
  const WorkerOutcome outcome = write(folder, {"sequences=4"});
  ASSERT_EQ(outcome.exit, WorkerExit::done) << (outcome.error ? outcome.error->describe() : "");

  const Json report = Json::parse(real_files().read(output).value());
  EXPECT_EQ(report["schema"], "ration.experts/1");
  EXPECT_EQ(report["router"], "smear");
  EXPECT_EQ(report["permutations"], 1000);
  ASSERT_EQ(report["sources"].size(), 2U);
  EXPECT_EQ(report["sources"][0]["data"], data.spec.data_digest);
  EXPECT_EQ(report["sources"][1]["windows"], 4);
  const Json& layer = report["layers"][0];
  EXPECT_GT(layer["units"], 0);
  for (std::size_t e = 0; e < 4; ++e) EXPECT_NEAR(layer["cosines"][e][e], 1, 1e-9);
  EXPECT_THAT(said, HasSubstr("on 2 sources"));

  EXPECT_EQ(write(folder, {"sequences=none"}).exit, WorkerExit::usage);
}

TEST_F(ReportOfARun, SaysThatNothingIsRouted) {
  data.spec.context = 16;
  data.spec.unique_tokens = 20 * 16;
  data.spec.tokens = 8 * 16;
  data.spec.router = "smear";
  data.spec.expert_chunk = 12;  // of documents of 11 tokens
  data.spec = run::resolve(data.spec);

  ASSERT_EQ(write(trained()).exit, WorkerExit::done);

  EXPECT_THAT(said, HasSubstr("nothing of this text is routed"));
}

TEST_F(ReportOfARun, IsRefusedWhereNothingIsChosen) {
  test::add_experts(data, "random");

  const WorkerOutcome outcome = write(trained());

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(outcome.error->what, HasSubstr("chooses nothing at evaluation"));
}

}  // namespace
}  // namespace ration::train::experts
