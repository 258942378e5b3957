#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/unsynced_files.h"
#include "support/temporary_folder.h"

namespace ration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  std::vector<std::string> names() { return files.list(folder.path()).value(); }

  Files& files = real_files();
  test::TemporaryFolder folder;
};

// Exit status of `body` in a child process without root's rights.
int as_nobody(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    const bool dropped = geteuid() != 0 || (setgid(kNobody) == 0 && setuid(kNobody) == 0);
    _exit(dropped ? body() : 99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(FilesTest, WithoutSyncingFilesAppearWholeAndClaimsGoToOneAsWell) {
  Files& unsynced = unsynced_files();
  ASSERT_TRUE(unsynced.write_whole(folder / "a", "old"));
  ASSERT_TRUE(unsynced.write_whole(folder / "a", "new"));
  EXPECT_TRUE(unsynced.make_folder_exclusively(folder / "claim").value());
  EXPECT_FALSE(unsynced.make_folder_exclusively(folder / "claim").value());
  EXPECT_TRUE(unsynced.write_exclusively(folder / "b", "first").value());
  EXPECT_FALSE(unsynced.write_exclusively(folder / "b", "second").value());

  EXPECT_EQ(files.read(folder / "a").value(), "new");
  EXPECT_EQ(files.read(folder / "b").value(), "first");
  EXPECT_THAT(names(), ElementsAre("a", "b", "claim"));
}

TEST_F(FilesTest, WritesFilesWholeAndLeavesNothingBeside) {
  ASSERT_TRUE(files.write_whole(folder / "a", "old"));
  ASSERT_TRUE(files.write_whole(folder / "a", std::string("new\0text", 8)));

  EXPECT_EQ(files.read(folder / "a").value(), std::string("new\0text", 8));
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(FilesTest, ReadersSeeTheOldTextOrTheNewOneAndNoMixture) {
  const std::string texts[] = {std::string(300'000, 'a'), std::string(200'000, 'b')};
  ASSERT_TRUE(files.write_whole(folder / "a", texts[0]));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(files.write_whole(folder / "a", texts[i % 2]));
    stop = true;
  });

  while (!stop) {
    const std::string seen = files.read(folder / "a").value();
    EXPECT_TRUE(seen == texts[0] || seen == texts[1]) << seen.size() << " bytes";
  }
  writer.join();
}

TEST_F(FilesTest, LeavesNothingBesideATargetThatCannotBeReplaced) {
  ASSERT_TRUE(files.make_folders(folder / "taken/inside"));

  EXPECT_FALSE(files.write_whole(folder / "taken", "text"));

  EXPECT_THAT(names(), ElementsAre("taken"));
}

TEST_F(FilesTest, LetsExactlyOneOfManyWritersCreateAFile) {
  constexpr std::size_t kWriters = 8;
  for (int round = 0; round < 10; ++round) {
    const Path path = folder / ("result" + std::to_string(round));
    std::vector<int> won(kWriters, 0);
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < kWriters; ++i)
      writers.emplace_back([&, i] {
        won[i] =
            files.write_exclusively(path, std::string(50'000, static_cast<char>('a' + i))).value();
      });
    for (std::thread& writer : writers) writer.join();

    ASSERT_EQ(std::count(won.begin(), won.end(), 1), 1);
    const auto winner = std::find(won.begin(), won.end(), 1) - won.begin();
    EXPECT_EQ(files.read(path).value(), std::string(50'000, static_cast<char>('a' + winner)));
  }
  EXPECT_EQ(names().size(), 10U) << "no temporary file is left";
}

TEST_F(FilesTest, LetsExactlyOneOfManyCreateAFolder) {
  constexpr std::size_t kClaimants = 8;
  std::vector<int> won(kClaimants, 0);
  std::vector<std::thread> claimants;
  for (std::size_t i = 0; i < kClaimants; ++i)
    claimants.emplace_back(
        [&, i] { won[i] = files.make_folder_exclusively(folder / "claim").value(); });
  for (std::thread& claimant : claimants) claimant.join();

  EXPECT_EQ(std::count(won.begin(), won.end(), 1), 1);
}

TEST_F(FilesTest, AppendsToWhatIsThere) {
  ASSERT_TRUE(files.write_whole(folder / "log", "one\n"));
  {
    auto log = files.open_append(folder / "log").value();
    ASSERT_TRUE(log->append("two\n"));
    ASSERT_TRUE(log->sync());
  }
  ASSERT_TRUE(files.open_append(folder / "log").value()->append("three\n"));

  EXPECT_EQ(files.read(folder / "log").value(), "one\ntwo\nthree\n");
}

TEST_F(FilesTest, KeepsAppendsOfTwoWritersApart) {
  const auto append_lines = [&](char letter) {
    auto log = files.open_append(folder / "log").value();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(log->append(std::string(99, letter) + "\n"));
  };
  std::thread first(append_lines, 'a');
  std::thread second(append_lines, 'b');
  first.join();
  second.join();

  const std::string text = files.read(folder / "log").value();
  ASSERT_EQ(text.size(), 40'000U);
  for (std::size_t line = 0; line < text.size(); line += 100)
    EXPECT_EQ(text.substr(line, 100), std::string(99, text[line]) + "\n");
}

TEST_F(FilesTest, ReadsRangesAndStopsAtTheEnd) {
  ASSERT_TRUE(files.write_whole(folder / "digits", "0123456789"));

  EXPECT_EQ(files.read_range(folder / "digits", 3, 4).value(), "3456");
  EXPECT_EQ(files.read_range(folder / "digits", 8, 100).value(), "89");
  EXPECT_EQ(files.read_range(folder / "digits", 10, 1).value(), "");
  EXPECT_EQ(files.read_range(folder / "digits", 99, 1).value(), "");
  EXPECT_EQ(files.read_range(folder / "digits", 0, 0).value(), "");
}

TEST_F(FilesTest, ReadsFilesLargerThanOneBlock) {
  std::string text((5U << 20) + 3, 'x');
  text[4U << 20] = 'y';
  ASSERT_TRUE(files.write_whole(folder / "large", text));

  EXPECT_TRUE(files.read(folder / "large").value() == text);
  EXPECT_EQ(files.size(folder / "large").value(), text.size());
}

TEST_F(FilesTest, MapsFilesEvenEmptyOnes) {
  ASSERT_TRUE(files.write_whole(folder / "three", "abc"));
  ASSERT_TRUE(files.write_whole(folder / "empty", ""));

  const auto three = files.map(folder / "three").value();
  const auto empty = files.map(folder / "empty").value();

  ASSERT_EQ(three->bytes().size(), 3U);
  EXPECT_EQ(static_cast<char>(three->bytes()[1]), 'b');
  EXPECT_TRUE(empty->bytes().empty());
}

TEST_F(FilesTest, ListsNamesInTheOrderOfTheirBytes) {
  for (const char* name : {"b", "a", "B", "a10", "a9"})
    ASSERT_TRUE(files.write_whole(folder / name, ""));

  EXPECT_THAT(names(), ElementsAre("B", "a", "a10", "a9", "b"));
}

TEST_F(FilesTest, RenamesTruncatesAndRemoves) {
  ASSERT_TRUE(files.make_folders(folder / "x/y/z"));
  ASSERT_TRUE(files.make_folders(folder / "x/y/z")) << "repeating it is harmless";
  ASSERT_TRUE(files.write_whole(folder / "x/y/z/f", "12345"));
  ASSERT_TRUE(files.truncate(folder / "x/y/z/f", 2));
  ASSERT_TRUE(files.rename(folder / "x/y", folder / "moved"));

  EXPECT_EQ(files.read(folder / "moved/z/f").value(), "12");
  EXPECT_FALSE(files.exists(folder / "x/y"));
  ASSERT_TRUE(files.remove_all(folder / "moved"));
  ASSERT_TRUE(files.remove_all(folder / "moved")) << "nothing left to remove is no error";
  EXPECT_FALSE(files.exists(folder / "moved"));
}

TEST_F(FilesTest, CallsAMissingFileUnusableInput) {
  const Path missing = folder / "missing";

  for (const Error& error : {files.read(missing).error(),
                             files.size(missing).error(),
                             files.map(missing).error(),
                             files.list(missing).error(),
                             files.open_append(missing / "log").error(),
                             files.write_whole(missing / "a", "").error()}) {
    EXPECT_EQ(error.kind, ErrorKind::input) << error.what;
    EXPECT_THAT(error.what, HasSubstr(missing.string()));
    EXPECT_THAT(error.what, HasSubstr("No such file or directory"));
    EXPECT_FALSE(error.hint.empty());
  }
}

TEST_F(FilesTest, CallsAFolderInPlaceOfAFileUnusableInput) {
  const Result<std::string> text = files.read(folder.path());

  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::input);
}

TEST_F(FilesTest, CallsAFullDiskAMissingResource) {
  auto full = files.open_append("/dev/full").value();

  const Result<void> done = full->append("text");

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::resource);
  EXPECT_THAT(done.error().what, HasSubstr("/dev/full: No space left on device"));
  EXPECT_THAT(done.error().hint, HasSubstr("free some space"));
}

TEST_F(FilesTest, CallsAFolderThatMayNotBeWrittenAMissingResource) {
  const Path locked = folder / "locked";
  ASSERT_TRUE(files.make_folders(locked));
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(locked.c_str(), 0555), 0);

  const int status = as_nobody([&] {
    const Result<void> done = files.write_whole(locked / "a", "text");
    const bool told = !done && done.error().kind == ErrorKind::resource &&
                      done.error().what.find("Permission denied") != std::string::npos &&
                      done.error().hint.find("permissions") != std::string::npos;
    return told ? 0 : 1;
  });

  EXPECT_EQ(status, 0);
  EXPECT_TRUE(files.list(locked).value().empty());
}

TEST(SystemError, FitsItsHintToTheReason) {
  EXPECT_THAT(system_error("write", "f", ENOSPC).hint, HasSubstr("space"));
  EXPECT_THAT(system_error("write", "f", EROFS).hint, HasSubstr("folder that you may write to"));
  EXPECT_EQ(system_error("write", "f", EIO).kind, ErrorKind::resource);
  EXPECT_EQ(system_error("read", "f", ENOTDIR).kind, ErrorKind::input);
}

}  // namespace
}  // namespace ration
