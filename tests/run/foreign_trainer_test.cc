// A trainer in another language, written from docs/formats.md alone, against the readers of this
// project.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>

#include "data/pool_builder.h"
#include "run/run.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::run {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ForeignTrainer : public testing::Test {
 protected:
  ForeignTrainer() {
    EXPECT_TRUE(real_files().make_folders(folder_ / "data"));
    const test::Documents documents = {std::vector<std::uint32_t>(64, 3),
                                       std::vector<std::uint32_t>(64, 5)};
    const data::Manifest manifest =
        test::write_pool(folder_ / "data", documents, 16, {{3, 5, 3, 5, 3, 5, 3, 5}});
    spec_ = test::small_spec();
    spec_.data_digest = manifest.digest;
    spec_.unique_tokens = 128;
    spec_.tokens = 300;
    spec_.lr = 1e-4;  // numbers whose shortest text is easily got wrong
    spec_.norm_eps = 1.5e-7;
    spec_.init_std = 0.1 + 0.2;
    execution_.data = (folder_ / "data").string();
    EXPECT_TRUE(run_.create(spec_, execution_));
  }

  int start(const std::string& options = "") {
    const std::string command = fmt::format("python3 {} {} {} 2> {}",
                                            RATION_FOREIGN_TRAINER,
                                            run_.path().string(),
                                            options,
                                            (folder_ / "stderr").string());
    return WEXITSTATUS(std::system(command.c_str()));
  }
  std::string words() { return real_files().read(folder_ / "stderr").value(); }
  EventBatch events(int attempt) {
    return read_events(real_files(), run_.events_path(attempt), 0, 0).value();
  }

  test::TemporaryFolder folder_;
  RunSpec spec_;
  Execution execution_;
  RunFolder run_{real_files(), folder_ / "run"};
};

TEST_F(ForeignTrainer, LeavesALogAndAResultThatAreReadWithoutLoss) {
  ASSERT_EQ(start("--token 00ff"), 0) << words();

  const EventBatch log = events(1);
  EXPECT_EQ(log.damaged, 0);
  EXPECT_EQ(log.next_offset, real_files().size(run_.events_path(1)).value());
  constexpr std::size_t kSteps = 19;  // 300 tokens in steps of 2 sequences of 8
  ASSERT_EQ(log.events.size(), 1 + 2 * kSteps + 1);
  EXPECT_EQ(log.events.front().type, EventType::start);
  EXPECT_EQ(log.events.front().values["token"], "00ff");
  EXPECT_EQ(log.events.back().type, EventType::done);
  EXPECT_EQ(log.events.back().tokens, 300);
  EXPECT_EQ(log.events.back().epoch, 300.0 / 128);

  const Json result = run_.result().value().value();
  EXPECT_EQ(result["id"], run_id(spec_));
  EXPECT_EQ(result["attempt"], 1);
  EXPECT_EQ(result["final_loss"], number(log.events.back().values, "final_loss"));
  // 300 tokens are two epochs and 44 threes; every one of the 16 tokens counts once more.
  const double expected = (-std::log(173.0 / 316) - std::log(129.0 / 316)) / 2;
  EXPECT_NEAR(result["final_loss"].get<double>(), expected, 1e-12);
}

TEST_F(ForeignTrainer, LeavesAFinishedRunAlone) {
  ASSERT_EQ(start(), 0) << words();
  const std::string first = real_files().read(run_.result_path()).value();

  EXPECT_EQ(start(), 0) << words();
  EXPECT_EQ(real_files().read(run_.result_path()).value(), first);
  EXPECT_EQ(run_.attempts().value(), std::vector<int>{1});
}

TEST_F(ForeignTrainer, TakesTheAttemptThatWasClaimedForIt) {
  ASSERT_EQ(run_.claim_attempt().value(), 1);
  ASSERT_EQ(start("--attempt 1"), 0) << words();
  EXPECT_EQ(run_.result().value().value()["attempt"], 1);
}

TEST_F(ForeignTrainer, LeavesWhenAnotherAttemptOwnsTheRun) {
  ASSERT_EQ(run_.claim_attempt().value(), 1);
  ASSERT_EQ(run_.claim_attempt().value(), 2);

  EXPECT_EQ(start("--attempt 1"), static_cast<int>(WorkerExit::fenced)) << words();
  EXPECT_THAT(events(1).events, IsEmpty());
  EXPECT_FALSE(run_.result().value().has_value());
}

TEST_F(ForeignTrainer, RefusesASpecThatWasEdited) {
  std::string text = real_files().read(run_.spec_path()).value();
  const std::string tokens = "\"tokens\":300";
  text.replace(text.find(tokens), tokens.size(), "\"tokens\":301");
  ASSERT_TRUE(real_files().write_whole(run_.spec_path(), text));

  EXPECT_EQ(start(), static_cast<int>(WorkerExit::usage));
  EXPECT_THAT(words(), HasSubstr(run_id(spec_)));
}

TEST_F(ForeignTrainer, RefusesOtherDataThanTheRunWasDefinedOn) {
  test::write_pool(folder_ / "data", {{1, 2, 3}}, 16);

  EXPECT_EQ(start(), static_cast<int>(WorkerExit::data));
  EXPECT_THAT(words(), HasSubstr("other data"));
}

}  // namespace
}  // namespace ration::run
