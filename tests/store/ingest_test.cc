#include <gmock/gmock.h>

#include <fstream>

#include "store_fixture.h"

namespace ration::store {
namespace {

using testing::SizeIs;

class Ingest : public StoreTest {
 protected:
  void SetUp() override { run = add_sweep(writer, {spec})[0]; }

  std::int64_t begin(int number, const std::string& token) {
    return writer.begin_attempt(run, number, token).value();
  }
  void ingest(std::int64_t attempt) { ASSERT_TRUE(writer.ingest({{attempt}})); }
  // name -> step -> value of the valid points.
  std::map<std::string, std::map<std::int64_t, double>> points() {
    std::map<std::string, std::map<std::int64_t, double>> all;
    const std::vector<MetricPoint> valid = writer.metrics(run).value();
    for (const MetricPoint& p : valid) {
      EXPECT_FALSE(all[p.name].contains(p.step)) << "two values of one step";
      all[p.name][p.step] = p.value;
    }
    return all;
  }
  void append_bytes(int attempt, const std::string& bytes) {
    std::ofstream(log.events_path(attempt), std::ios::app | std::ios::binary) << bytes;
  }

  run::RunSpec spec = test::small_spec();
  Writer writer = open_writer();
  run::RunFolder log = run_folder(spec);
  std::int64_t run = 0;
};

TEST_F(Ingest, TakesEachLineOnce) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken), test::train_event(1, 3.0)});
  ingest(attempt);
  ingest(attempt);
  test::append_events(log, 1, {test::train_event(2, 2.5), test::val_event(2, 2.7)}, 2);
  ingest(attempt);

  EXPECT_EQ(points()["train/loss"], (std::map<std::int64_t, double>{{1, 3.0}, {2, 2.5}}));
  EXPECT_EQ(points()["val/loss"], (std::map<std::int64_t, double>{{2, 2.7}}));
  EXPECT_EQ(writer.runs(std::nullopt).value()[0].tokens_seen, 32);
  EXPECT_EQ(writer.runs(std::nullopt).value()[0].last_loss, 2.5);
}

TEST_F(Ingest, LeavesATornTailUntilItIsWhole) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken)});
  run::Event event = test::train_event(1, 3.0);
  event.seq = 1;
  const std::string line = run::encode(event);
  append_bytes(1, line.substr(0, 20));
  ingest(attempt);
  EXPECT_TRUE(points().empty());

  append_bytes(1, line.substr(20));
  ingest(attempt);

  EXPECT_EQ(points()["train/loss"].at(1), 3.0);
  EXPECT_EQ(writer.attempts(run).value()[0].damaged, 0);
}

TEST_F(Ingest, SkipsAndCountsDamagedLinesAndKeepsTheRest) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken), test::train_event(1, 3.0)});
  append_bytes(1, std::string(8192, '\0') + "\n");
  append_bytes(1, "{\"seq\":2,\"type\":\"train\"}\n");
  test::append_events(log, 1, {test::train_event(2, 2.0)}, 2);
  ingest(attempt);

  EXPECT_THAT(points()["train/loss"], SizeIs(2));
  EXPECT_EQ(writer.attempts(run).value()[0].damaged, 2);
}

TEST_F(Ingest, SkipsALineOfTenMebibytes) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken)});
  append_bytes(1, std::string(10U << 20, 'x') + "\n");
  test::append_events(log, 1, {test::train_event(1, 2.0)}, 1);
  ingest(attempt);

  EXPECT_EQ(points()["train/loss"].at(1), 2.0);
  EXPECT_EQ(writer.attempts(run).value()[0].damaged, 1);
}

TEST_F(Ingest, IgnoresALogWrittenUnderAnotherToken) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kOtherToken), test::train_event(1, 3.0)});
  ingest(attempt);

  EXPECT_TRUE(points().empty());
  EXPECT_GT(writer.attempts(run).value()[0].damaged, 0);
}

TEST_F(Ingest, GivesOneValueAStepWhenALaterAttemptRepeatsSome) {
  const auto first = begin(1, kToken);
  test::append_events(log,
                      1,
                      {test::start_event(kToken),
                       test::train_event(1, 5),
                       test::train_event(2, 4),
                       test::train_event(3, 99)});
  ingest(first);
  ASSERT_TRUE(writer.end_attempt(first, {.failure = FailureClass::killed}, {}, {}));
  const auto second = begin(2, kOtherToken);
  test::append_events(log,
                      2,
                      {test::start_event(kOtherToken),
                       test::resume_event(2),
                       test::train_event(3, 3),
                       test::train_event(4, 2)});
  ingest(second);

  EXPECT_EQ(points()["train/loss"],
            (std::map<std::int64_t, double>{{1, 5}, {2, 4}, {3, 3}, {4, 2}}));
}

TEST_F(Ingest, AnAttemptFromTheStartReplacesAllEarlierPoints) {
  const auto first = begin(1, kToken);
  test::append_events(
      log, 1, {test::start_event(kToken), test::val_event(0, 9), test::train_event(1, 5)});
  ingest(first);
  ASSERT_TRUE(writer.end_attempt(first, {.failure = FailureClass::killed}, {}, {}));
  const auto second = begin(2, kOtherToken);
  test::append_events(
      log, 2, {test::start_event(kOtherToken), test::val_event(0, 8), test::train_event(1, 4)});
  ingest(second);

  EXPECT_EQ(points()["val/loss"].at(0), 8);
  EXPECT_EQ(points()["train/loss"].at(1), 4);
}

TEST_F(Ingest, KeepsAPointAtTheVeryStepOfTheCheckpoint) {
  const auto first = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken), test::train_event(2, 4)});
  ingest(first);
  ASSERT_TRUE(writer.end_attempt(first, {.failure = FailureClass::killed}, {}, {}));
  const auto second = begin(2, kOtherToken);
  test::append_events(log,
                      2,
                      {test::start_event(kOtherToken),
                       test::resume_event(2),
                       test::train_event(2, 4),
                       test::val_event(2, 4.5)});
  ingest(second);

  EXPECT_THAT(points()["train/loss"], SizeIs(1));
  EXPECT_EQ(points()["val/loss"].at(2), 4.5);
}

TEST_F(Ingest, ReadsAgainWhenTheFileBecameShorter) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken), test::train_event(1, 3)});
  ingest(attempt);
  std::filesystem::remove(log.events_path(1));
  test::append_events(log, 1, {test::start_event(kToken)});
  ingest(attempt);
  test::append_events(log, 1, {test::train_event(1, 3), test::train_event(2, 2)}, 1);
  ingest(attempt);

  EXPECT_THAT(points()["train/loss"], SizeIs(2));
}

TEST_F(Ingest, GoesOnWhileAReaderHoldsATransaction) {
  const auto attempt = begin(1, kToken);
  test::append_events(log, 1, {test::start_event(kToken), test::train_event(1, 3)});
  Reader reader = open_reader();
  ASSERT_TRUE(reader.runs(std::nullopt));
  ingest(attempt);

  EXPECT_THAT(reader.metrics(run).value(), SizeIs(1));
}

}  // namespace
}  // namespace ration::store
