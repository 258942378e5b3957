#include "eval/points.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/manifest.h"
#include "run/folder.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

run::PointList two_points() {
  run::PointList list;
  list.models["base"] = run::Weights{.run = {}, .step = 0, .sha256 = std::string(64, 'b')};
  list.files["base"] = "/models/base.safetensors";
  list.corpora = {{.name = "prose", .data = "/prose", .digest = "d1"},
                  {.name = "code", .data = "/code", .digest = "d2"}};
  const Json recipe = {{"method", "average"}, {"models", {"base"}}};
  list.points = {{.name = "first", .recipe = recipe, .corpora = {}},
                 {.name = "second", .recipe = recipe, .corpora = {1}}};
  return list;
}

std::string line(const std::string& point, const std::string& corpus, double loss) {
  return Json{{"point", point}, {"corpus", corpus}, {"loss_nats", loss}, {"tokens", 64}}.dump() +
         "\n";
}

std::string lines_of(const run::PointList& list, double loss) {
  std::string text;
  for (const run::Point& point : list.points) {
    std::vector<std::size_t> corpora = point.corpora;
    if (corpora.empty())
      for (std::size_t i = 0; i < list.corpora.size(); ++i) corpora.push_back(i);
    for (const std::size_t corpus : corpora)
      text += line(point.name, list.corpora[corpus].name, loss += 0.5);
  }
  return text;
}

std::vector<std::string> names_of(const std::vector<PointLoss>& losses) {
  std::vector<std::string> names;
  for (const PointLoss& loss : losses)
    names.push_back(fmt::format("{} {} {}", loss.point, loss.corpus, loss.loss));
  return names;
}

TEST(Losses, StandInTheOrderOfTheList) {
  const auto losses = parse_losses(lines_of(two_points(), 1), "points.jsonl", two_points());

  ASSERT_TRUE(losses) << losses.error().describe();
  EXPECT_THAT(names_of(*losses), ElementsAre("first prose 1.5", "first code 2", "second code 2.5"));
  EXPECT_EQ(losses->front().tokens, 64);
}

TEST(Losses, OfWindowsAreReadWhereTheyAreAskedFor) {
  run::PointList list = two_points();
  list.sequences = true;
  list.points.resize(1);
  list.corpora.resize(1);
  const std::string with =
      R"({"point":"first","corpus":"prose","loss_nats":2,"tokens":8,"sequences":[1,"nan",3]})";

  const auto losses = parse_losses(with, "points.jsonl", list);

  ASSERT_TRUE(losses) << losses.error().describe();
  ASSERT_THAT(losses->front().sequences, SizeIs(3));
  EXPECT_TRUE(std::isnan(losses->front().sequences[1]));
  EXPECT_THAT(parse_losses(line("first", "prose", 2), "points.jsonl", list).error().what,
              HasSubstr("points.jsonl:1: it lacks the loss of each window"));
}

TEST(Losses, OfAnotherListAreRefusedAtTheirLine) {
  const run::PointList list = two_points();
  const std::string good = lines_of(list, 1);
  const auto what = [&](const std::string& text) {
    const auto losses = parse_losses(text, "points.jsonl", list);
    return losses ? std::string("taken") : losses.error().what;
  };

  EXPECT_EQ(what(good), "taken");
  EXPECT_THAT(what(good + line("third", "code", 1)), HasSubstr(":4: more lines than the 3"));
  EXPECT_THAT(what(good.substr(0, good.find('\n') + 1)), HasSubstr(":2: ends before point"));
  EXPECT_THAT(what(line("second", "code", 1) + good), HasSubstr(":1: point \"second\""));
  EXPECT_THAT(what(line("first", "code", 1)), HasSubstr("where \"first\" on \"prose\" is due"));
  EXPECT_THAT(what("{\"point\":\"first\"}\n"), HasSubstr(":1: it names no point and corpus"));
  EXPECT_THAT(what("{\"point\":\"first\",\"corpus\":\"prose\",\"tokens\":1}\n"),
              HasSubstr(":1: it has no loss_nats"));
  EXPECT_THAT(what("torn"), HasSubstr("points.jsonl:1: "));
}

TEST(Split, DealsThePointsInOrderAndEvenly) {
  run::PointList list = two_points();
  list.points.resize(1);
  for (int i = 1; i < 7; ++i) {
    list.points.push_back(list.points[0]);
    list.points.back().name = fmt::format("p{}", i);
  }

  const std::vector<run::PointList> parts = split(list, 3);

  ASSERT_THAT(parts, SizeIs(3));
  std::vector<std::string> names;
  for (const run::PointList& part : parts) {
    EXPECT_GE(part.points.size(), 2U);
    EXPECT_LE(part.points.size(), 3U);
    EXPECT_EQ(part.corpora, list.corpora);
    for (const run::Point& point : part.points) names.push_back(point.name);
  }
  EXPECT_THAT(names, ElementsAre("first", "p1", "p2", "p3", "p4", "p5", "p6"));
  EXPECT_THAT(split(list, 100), SizeIs(7));
  EXPECT_THAT(split(list, 0), SizeIs(1));
}

TEST(EvaluationSettings, AreThoseOfTheModelAlone) {
  run::RunSpec shape = test::small_spec(16);
  const Json settings = evaluation_settings(shape);
  run::RunSpec trained = shape;
  trained.lr = 0.5;
  trained.tokens = 128;
  trained.init = "run:" + std::string(32, 'a');
  run::RunSpec wider = test::small_spec(32);

  EXPECT_EQ(settings.at("width"), 16);
  EXPECT_EQ(evaluation_settings(trained), settings);
  EXPECT_NE(evaluation_settings(wider), settings);
}

class Silent final : public scheduler::Observer {
 public:
  void note(std::string_view) override {}
  void progress(const scheduler::Snapshot&) override {}
};

class EvaluatePoints : public testing::Test {
 protected:
  EvaluatePoints() {
    const std::string digest(64, 'a');
    data::Manifest manifest{.tokenizer = "bytes",
                            .vocab = 257,
                            .end_token = 256,
                            .train = {10'000, 10, digest, digest},
                            .val = {10'000, 10, digest, digest},
                            .train_text_bytes = 10'000,
                            .val_text_bytes = 10'000};
    manifest.digest = data::manifest_digest(manifest);
    EXPECT_TRUE(files_.make_folders(folder_ / "data"));
    EXPECT_TRUE(files_.write_whole(folder_ / "data" / "manifest.json",
                                   data::manifest_text(manifest).value()));
    shape_ = test::small_spec(8);
    shape_.vocab = 257;
    execution_.data = (folder_ / "data").string();
    options_.store = folder_ / "store";
    options_.trainer = "/bin/true";
    options_.slots = 1;
  }

  // two_points() with files that are there.
  run::PointList two_points_here() {
    run::PointList list = two_points();
    list.files["base"] = (folder_ / "base.safetensors").string();
    EXPECT_TRUE(files_.write_whole(list.files["base"], "weights that nobody reads"));
    for (run::PointCorpus& corpus : list.corpora) {
      corpus.data = (folder_ / "data").string();
      corpus.digest = data::read_manifest(files_, folder_ / "data")->digest;
    }
    return list;
  }

  Result<std::vector<PointLoss>> evaluate(const run::PointList& list, std::size_t parts = 1) {
    return evaluate_points(shape_,
                           execution_,
                           list,
                           "merges",
                           options_,
                           {files_, system_clock(), observer_},
                           {.parts = parts});
  }

  // The runs that a call asks for, in their order.
  std::vector<scheduler::PlannedRun> runs_asked_for(const run::PointList& list, std::size_t parts) {
    options_.trainer = (folder_ / "no-trainer").string();
    const auto refused = evaluate(list, parts);
    EXPECT_FALSE(refused) << "there is no trainer";
    options_.trainer = "/bin/true";
    const Path file = folder_ / "store" / "points" / "merges.json";
    const auto sweep = scheduler::read_sweep(files_.read(file).value(), file.string()).value();
    return scheduler::expand(sweep, files_).value().runs;
  }

  // What a worker leaves of a run.
  void publish(const scheduler::PlannedRun& run, const std::string& lines) {
    run::RunFolder folder(files_, store::Layout{options_.store}.run(run.id));
    EXPECT_TRUE(folder.create(run.spec, run.execution));
    EXPECT_TRUE(files_.make_folders(folder.attempt_path(1)));
    EXPECT_TRUE(files_.write_whole(folder.attempt_path(1) / "points.jsonl", lines));
    ASSERT_TRUE(folder
                    .publish_result({{"schema", "ration.result/1"},
                                     {"id", run.id},
                                     {"status", "done"},
                                     {"attempt", 1},
                                     {"steps", 0},
                                     {"tokens", 0},
                                     {"epochs", 0},
                                     {"wall_s", 1.0},
                                     {"points", "attempt-1/points.jsonl"}})
                    .value());
    EXPECT_TRUE(folder.write_exit_status(1, 0));
  }

  Files& files_ = real_files();
  test::TemporaryFolder folder_;
  run::RunSpec shape_;
  run::Execution execution_;
  scheduler::SweepOptions options_;
  Silent observer_;
};

TEST_F(EvaluatePoints, JoinsTheLossesOfAllPartsInTheOrderOfTheList) {
  const std::vector<scheduler::PlannedRun> runs = runs_asked_for(two_points_here(), 2);
  ASSERT_THAT(runs, SizeIs(2));
  for (const scheduler::PlannedRun& run : runs) {
    EXPECT_EQ(run.spec.tokens, 0);
    const auto list =
        run::parse_points(files_.read(run.execution.points_file).value(), "list").value();
    EXPECT_EQ(run.spec.points, "sha256:" + Path(run.execution.points_file).stem().string());
    publish(run, lines_of(list, list.points[0].name == "first" ? 1 : 7));
  }
  ASSERT_TRUE(scheduler::rebuild_store(options_.store, files_, system_clock()));

  const auto losses = evaluate(two_points_here(), 2);

  ASSERT_TRUE(losses) << losses.error().describe();
  EXPECT_THAT(names_of(*losses), ElementsAre("first prose 1.5", "first code 2", "second code 7.5"));
  EXPECT_TRUE(store::Reader::open(files_, options_.store).value().check().value().empty());
}

TEST_F(EvaluatePoints, NamesTheFileWhoseLossesAreOfAnotherList) {
  const std::vector<scheduler::PlannedRun> runs = runs_asked_for(two_points_here(), 1);
  publish(runs.at(0), line("first", "prose", 1));
  ASSERT_TRUE(scheduler::rebuild_store(options_.store, files_, system_clock()));

  const auto losses = evaluate(two_points_here());

  ASSERT_FALSE(losses);
  EXPECT_THAT(losses.error().what, HasSubstr("attempt-1/points.jsonl:2: ends before"));
}

TEST_F(EvaluatePoints, RefusesDataOfAnotherVocabulary) {
  shape_.vocab = 1000;

  const auto losses = evaluate(two_points_here());

  ASSERT_FALSE(losses);
  EXPECT_THAT(losses.error().what, HasSubstr("257 tokens, the models have 1000"));
}

TEST_F(EvaluatePoints, StartsNothingForModelsThatNobodyTrained) {
  run::PointList list = two_points_here();
  list.models["base"] = run::Weights{.run = std::string(32, 'c'), .step = 0, .sha256 = {}};
  list.files.clear();

  const auto losses = evaluate(list);

  ASSERT_FALSE(losses);
  EXPECT_EQ(losses.error().kind, ErrorKind::input);
  EXPECT_THAT(losses.error().what, HasSubstr("run cccccccccccc, which is not in this store"));
}

}  // namespace
}  // namespace ration::eval
