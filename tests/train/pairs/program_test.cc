// ration-train --pairs as a person starts it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "train/started_program.h"
#include "train/tiny_run.h"

namespace ration::test {
namespace {

using testing::HasSubstr;

class PairsProgram : public testing::Test {
 protected:
  PairsProgram() : folder_(data_.create("run")) {
    EXPECT_EQ(start({folder_.path()}), 0);
    EXPECT_TRUE(real_files().write_whole(list(),
                                         "{\"schema\":\"ration.pairs/1\",\"vocab\":17}\n"
                                         "{\"prompt\":[2,5]}\n"
                                         "{\"after\":0,\"choice\":[8,11]}\n"));
  }

  int start(const std::vector<Path>& words) {
    return StartedProgram(words, {.errors = errors()}).wait();
  }
  Path errors() const { return data_ / "stderr"; }
  std::string said() const { return real_files().read(errors()).value(); }
  Path list() const { return data_ / "pairs.jsonl"; }
  Path output() const { return data_ / "scores.jsonl"; }

  TinyData data_;
  run::RunFolder folder_;
};

TEST_F(PairsProgram, WritesScoresAndSaysWhatItDid) {
  ASSERT_EQ(start({"--pairs", list(), folder_.path(), "-o", output(), "threads=2"}), 0) << said();

  const std::string text = real_files().read(output()).value();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text, HasSubstr("{\"choice\":0,\"logp\":[-"));
  EXPECT_THAT(said(), HasSubstr("1 choices behind 1 prompts"));
}

TEST_F(PairsProgram, TakesFilesOfWeightsWithTheSettingsOfARun) {
  const Path weights =
      folder_.path() / result_of(folder_)["checkpoint"].get<std::string>() / "model.safetensors";

  EXPECT_EQ(start({"--pairs", list(), weights, weights, "--like", folder_.path(), "-o", output()}),
            0)
      << said();

  const std::string text = real_files().read(output()).value();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
}

TEST_F(PairsProgram, EndsWithWhatIsWrong) {
  EXPECT_EQ(start({"--pairs", list(), folder_.path()}), 2);
  EXPECT_THAT(said(), HasSubstr("--pairs needs -o"));
  EXPECT_EQ(start({"--pairs", list(), "-o", output()}), 2);
  EXPECT_EQ(start({"--pairs", list(), data_ / "nowhere", "-o", output()}), 2);
  EXPECT_EQ(start({"--like", folder_.path(), folder_.path()}), 2);
  ASSERT_TRUE(real_files().write_whole(list(), "{}\n"));
  EXPECT_EQ(start({"--pairs", list(), folder_.path(), "-o", output()}), 3);
  EXPECT_THAT(said(), HasSubstr("pairs.jsonl:1: not the first line of a list of choices"));
  EXPECT_FALSE(real_files().exists(output()));
}

}  // namespace
}  // namespace ration::test
