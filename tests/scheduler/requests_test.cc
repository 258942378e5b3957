// Cancel and retry of many runs while no scheduler is on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/outcome.h"
#include "scheduler/scheduler.h"
#include "store/store_fixture.h"

namespace ration::scheduler {
namespace {

class Silent final : public Observer {
 public:
  void note(std::string_view) override {}
  void progress(const Snapshot&) override {}
};

class RequestsTest : public store::StoreTest {
 protected:
  void SetUp() override {
    for (std::int64_t seed = 0; seed < 60; ++seed) specs.push_back(test::small_spec(8, seed));
    store::Writer writer = open_writer();
    add_sweep(writer, specs);
  }
  std::vector<store::RunRow> rows() { return open_reader().runs(std::nullopt).value(); }
  std::ptrdiff_t in_state(RunState state) {
    const std::vector<store::RunRow> all = rows();
    return std::count_if(
        all.begin(), all.end(), [&](const store::RunRow& row) { return row.state == state; });
  }
  bool marked(std::size_t index) {
    return marked_cancelled(real_files(), run_folder(specs[index]));
  }
  std::size_t lines_for_a_scheduler() {
    const std::string text = real_files().read(open_reader().layout().requests()).value();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  Silent silent;
  Outside outside{real_files(), clock, silent};
  std::vector<run::RunSpec> specs;
};

TEST_F(RequestsTest, ManyRunsAreCancelledAndTakenBack) {
  cancel_runs(folder.path(), rows(), outside).value();
  EXPECT_EQ(in_state(RunState::cancelled), 60);
  EXPECT_TRUE(marked(0) && marked(59));
  EXPECT_EQ(lines_for_a_scheduler(), 60U);

  retry_runs(folder.path(), rows(), outside).value();
  EXPECT_EQ(in_state(RunState::ready), 60);
  EXPECT_FALSE(marked(0) || marked(59));
  EXPECT_EQ(lines_for_a_scheduler(), 120U);
}

TEST_F(RequestsTest, ARunThatPublishedItsResultMeanwhileIsDone) {
  run::RunFolder finished = run_folder(specs[7]);
  ASSERT_TRUE(finished.create(specs[7], {.data = "/data"}));
  ASSERT_TRUE(finished.publish_result(test::result_of(specs[7], 1, 2.5)).value());

  cancel_runs(folder.path(), rows(), outside).value();

  EXPECT_EQ(in_state(RunState::cancelled), 59);
  EXPECT_EQ(in_state(RunState::done), 1);
}

TEST_F(RequestsTest, WhileASchedulerIsOnItIsTold) {
  const store::Writer scheduler = open_writer();

  const std::vector<RequestOutcome> told = cancel_runs(folder.path(), rows(), outside).value();

  EXPECT_THAT(told.at(0).what, testing::HasSubstr("asked the scheduler"));
  EXPECT_EQ(lines_for_a_scheduler(), 60U);
  EXPECT_TRUE(marked(0));
}

}  // namespace
}  // namespace ration::scheduler
