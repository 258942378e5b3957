#include "base/command.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/clock.h"
#include "support/temporary_folder.h"

namespace ration {
namespace {

TEST(Command, OneThatStallsIsEndedWithItsChildren) {
  const double began = system_clock().monotonic_seconds();

  const Answer answer = call({"sh", "-c", "echo first; sleep 60 & wait"}, 0.3).value();

  EXPECT_TRUE(answer.timed_out);
  EXPECT_EQ(answer.out, "first\n");
  EXPECT_LT(system_clock().monotonic_seconds() - began, 20);
}

TEST(Command, StatusAndWordsAreKept) {
  const Answer answer =
      call({"sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3"}, 20).value();

  EXPECT_EQ(answer.status, 3);
  EXPECT_EQ(answer.words(), "two");
  EXPECT_FALSE(call({"no-such-command-anywhere"}, 1));
}

TEST(Command, ItRunsInTheFolderNamed) {
  const test::TemporaryFolder folder;

  EXPECT_EQ(call({"pwd", "-P"}, 20, {.folder = folder.path()}).value().out,
            std::filesystem::canonical(folder.path()).string() + "\n");
  EXPECT_FALSE(call({"pwd"}, 20, {.folder = folder.path() / "none"}));
}

TEST(Command, ItReadsMoreThanAPipeHoldsAndNothingWhereNothingIsGiven) {
  const std::string text(std::size_t{1} << 20, 'x');

  EXPECT_EQ(call({"cat"}, 20, {.input = text}).value().out, text);
  EXPECT_EQ(call({"cat"}, 20).value().out, "");
  EXPECT_TRUE(call({"true"}, 20, {.input = text}).value().ok()) << "none of it needs to be read";
}

TEST(Command, ItReadsAFile) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(real_files().write_whole(folder.path() / "input", "text\n"));

  EXPECT_EQ(call({"cat"}, 20, {.input_file = folder.path() / "input"}).value().out, "text\n");
  EXPECT_FALSE(call({"cat"}, 20, {.input_file = folder.path() / "none"}));
}

TEST(Command, ABrokenPipeEndsItEvenWhereTheCallerIgnoresThem) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const Answer answer = call({"sh", "-c", "kill -PIPE $$; echo alive"}, 20).value();
  std::signal(SIGPIPE, before);

  EXPECT_EQ(answer.status, 128 + SIGPIPE);
  EXPECT_EQ(answer.out, "");
}

}  // namespace
}  // namespace ration
