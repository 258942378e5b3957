#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "cli/commands.h"
#include "scheduler/sweep.h"
#include "support/temporary_folder.h"

namespace ration::cli {
namespace {

using testing::HasSubstr;

class InitCommand : public testing::Test {
 protected:
  int init(const std::string& file) {
    const std::vector<const char*> argv = {"ration", "init", file.c_str(), "--data", "my data"};
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_program(ration_program(), static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  test::TemporaryFolder folder_;
  std::string out_;
  std::string err_;
};

TEST_F(InitCommand, WritesASweepThatCanBeRead) {
  const std::string file = (folder_ / "first.toml").string();

  EXPECT_EQ(init(file), 0);

  EXPECT_EQ(out_, file + "\n");
  EXPECT_THAT(err_, HasSubstr("next: ration run " + file));
  const auto sweep = scheduler::read_sweep(real_files().read(file).value(), file);
  ASSERT_TRUE(sweep) << sweep.error().describe();
  EXPECT_EQ(sweep->name, "first");
  EXPECT_THAT(sweep->source, HasSubstr("data = \"my data\""));
}

TEST_F(InitCommand, NeverOverwritesAFile) {
  const std::string file = (folder_ / "mine.toml").string();
  ASSERT_TRUE(real_files().write_whole(file, "precious"));

  EXPECT_EQ(init(file), 2);

  EXPECT_THAT(err_, HasSubstr("exists already"));
  EXPECT_EQ(real_files().read(file).value(), "precious");
}

TEST_F(InitCommand, RefusesAFileWhoseNameCannotNameASweep) {
  EXPECT_EQ(init((folder_ / "my sweep.toml").string()), 2);
  EXPECT_THAT(err_, HasSubstr("name"));
}

}  // namespace
}  // namespace ration::cli
