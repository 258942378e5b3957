// ration merge statistics, with a trainer that writes down how it was called.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/commands.h"
#include "support/temporary_folder.h"

namespace ration::cli {
namespace {

using testing::HasSubstr;

class MergeStatistics : public testing::Test {
 protected:
  MergeStatistics() {
    const std::string script = "#!/bin/sh\necho \"$@\" > '" + called_.string() + "'\nexit 0\n";
    EXPECT_TRUE(real_files().write_whole(trainer_, script));
    std::filesystem::permissions(trainer_, std::filesystem::perms::owner_all);
  }

  int ration(std::vector<std::string> words) {
    words.insert(words.begin(), {"ration", "merge", "statistics"});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_program(ration_program(), static_cast<int>(argv.size()), argv.data());
    testing::internal::GetCapturedStdout();
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }

  test::TemporaryFolder folder_;
  Path trainer_ = folder_ / "trainer", called_ = folder_ / "called";
  std::string said_;
};

TEST_F(MergeStatistics, AskTheTrainer) {
  EXPECT_EQ(ration({"gram",
                    "data/prose",
                    "--run",
                    "runs/1",
                    "-o",
                    "gram.safetensors",
                    "--sequences",
                    "32",
                    "--trainer",
                    trainer_.string()}),
            0)
      << said_;

  EXPECT_EQ(real_files().read(called_).value(),
            "--statistics gram data/prose runs/1 -o gram.safetensors sequences=32\n");
}

TEST_F(MergeStatistics, RefuseWhatIsNoStatisticOrLacksARun) {
  EXPECT_EQ(ration({"hessian", "d", "--run", "r", "-o", "f", "--trainer", trainer_.string()}), 2);
  EXPECT_THAT(said_, HasSubstr("\"hessian\" is no statistic of a checkpoint"));
  EXPECT_EQ(ration({"fisher", "d", "-o", "f", "--trainer", trainer_.string()}), 2);
  EXPECT_THAT(said_, HasSubstr("--run"));
  EXPECT_FALSE(real_files().exists(called_));
}

TEST_F(MergeStatistics, EndWithTheTrainersTrouble) {
  EXPECT_EQ(ration({"fisher", "d", "--run", "r", "-o", "f", "--trainer", "/bin/false"}), 3);
  EXPECT_THAT(said_, HasSubstr("/bin/false ended with 1"));
}

}  // namespace
}  // namespace ration::cli
