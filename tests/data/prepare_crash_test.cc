#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/unsynced_files.h"
#include "data/output_folder.h"
#include "data/prepare.h"
#include "data/shards.h"
#include "data/text_builder.h"
#include "support/failing_files.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using test::FailingFiles;

// Kills lose nothing that was written, so nothing need wait for the disk here.
class InterruptedPreparation : public testing::Test {
 protected:
  InterruptedPreparation() {
    test::write_documents(text_, 60);
    whole_ = digest_of(prepare(unsynced_files(), "whole"));
  }

  Result<Preparation> prepare(Files& files, const std::string& out, bool replace = false) {
    PrepareOptions options;
    options.tokenizer = "bpe:400";
    options.sample_bytes = 10'000;  // the least, since tests prepare hundreds of times
    options.replace = replace;
    return data::prepare(files, system_clock(), text_, folder_ / out, options);
  }

  static std::string digest_of(const Result<Preparation>& made) {
    EXPECT_TRUE(made) << made.error().describe();
    return made ? made->manifest.digest : "";
  }

  // The digest of what lies in <out> if all of it is as its manifest says; "" when nothing is
  // there.
  std::string digest_there(const std::string& out) {
    if (!unsynced_files().exists(folder_ / out)) return "";
    const Result<Manifest> manifest = read_manifest(unsynced_files(), folder_ / out);
    if (!manifest) return "damaged";
    for (const Split split : {Split::train, Split::val}) {
      const auto pool = TokenPool::open(unsynced_files(), folder_ / out, *manifest, split);
      if (!pool || !pool->verify()) return "damaged";
    }
    return verify_tokenizer(unsynced_files(), folder_ / out, *manifest) ? manifest->digest
                                                                        : "damaged";
  }

  test::TemporaryFolder folder_;
  Path text_ = folder_ / "text";
  std::string whole_;
};

TEST_F(InterruptedPreparation, LeavesNothingThatLooksWholeWhereverItIsKilled) {
  int operations = 0;
  for (bool failed = true; failed; ++operations) {
    FailingFiles files(unsynced_files(), FailingFiles::Mode::killed, operations);
    const Result<Preparation> killed = prepare(files, "data");
    failed = files.failed();

    EXPECT_THAT(digest_there("data"), testing::AnyOf("", whole_)) << operations;
    EXPECT_EQ(digest_of(prepare(unsynced_files(), "data")), whole_) << "the same command again";
    EXPECT_FALSE(unsynced_files().exists(folder_ / "data.tmp"));
    ASSERT_TRUE(unsynced_files().remove_all(folder_ / "data"));
  }
  EXPECT_GT(operations, 10);
}

TEST_F(InterruptedPreparation, NeverLosesTheDataThatItReplaces) {
  test::write_text(text_, "doc-0.txt", test::invented_text(1000, 600));
  const std::string old = digest_of(prepare(unsynced_files(), "old"));
  test::write_text(text_, "doc-0.txt", test::invented_text(0, 600));
  int operations = 0;
  for (bool failed = true; failed; ++operations) {
    ASSERT_TRUE(unsynced_files().remove_all(folder_ / "data"));
    std::filesystem::copy(folder_ / "old", folder_ / "data");

    FailingFiles files(unsynced_files(), FailingFiles::Mode::killed, operations);
    const Result<Preparation> killed = prepare(files, "data", true);
    failed = files.failed();
    ASSERT_TRUE(OutputFolder::recover(unsynced_files(), folder_ / "data"));

    EXPECT_THAT(digest_there("data"), testing::AnyOf(old, whole_)) << operations;
    EXPECT_EQ(digest_of(prepare(unsynced_files(), "data", true)), whole_);
    for (const char* name : {"data.tmp", "data.replaced.tmp"})
      EXPECT_FALSE(unsynced_files().exists(folder_ / name)) << name << " after " << operations;
  }
}

TEST_F(InterruptedPreparation, SaysThatTheDiskIsFullAndCleansUp) {
  for (int operations = 0;; ++operations) {
    FailingFiles files(unsynced_files(), FailingFiles::Mode::disk_full, operations);
    const Result<Preparation> made = prepare(files, "data");
    if (!files.failed()) break;

    EXPECT_FALSE(unsynced_files().exists(folder_ / "data.tmp")) << operations;
    if (!made) {
      EXPECT_EQ(made.error().kind, ErrorKind::resource);
      EXPECT_THAT(made.error().what, testing::HasSubstr("No space left"));
      EXPECT_EQ(digest_there("data"), "") << operations;
    }
    ASSERT_TRUE(unsynced_files().remove_all(folder_ / "data"));
  }
}

TEST(OutputFolder, IsHeldByOneWriterAtATime) {
  test::TemporaryFolder folder;
  const Path out = folder / "data";
  Result<OutputFolder> first = OutputFolder::claim(real_files(), out);
  ASSERT_TRUE(first);
  ASSERT_TRUE(real_files().write_whole(first->temporary() / "file", "first"));

  const Result<OutputFolder> second = OutputFolder::claim(real_files(), out);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::resource);
  ASSERT_TRUE(first->publish());
  EXPECT_EQ(*real_files().read(out / "file"), "first");
  EXPECT_THAT(*real_files().list(out), testing::ElementsAre("file"));
}

TEST(OutputFolder, HandsOnWhatAKilledWriterLeft) {
  test::TemporaryFolder folder;
  test::write_text(folder.path(), "data.tmp/half", "half");
  test::write_text(folder.path(), "data.tmp/lock", "");

  Result<OutputFolder> output = OutputFolder::claim(real_files(), folder / "data");

  ASSERT_TRUE(output);
  EXPECT_TRUE(real_files().exists(output->temporary() / "half"));
  ASSERT_TRUE(output->clear());
  EXPECT_THAT(*real_files().list(output->temporary()), testing::ElementsAre("lock"));
}

TEST(OutputFolder, EmptiesNoFolderThatNoWriterLeft) {
  test::TemporaryFolder folder;
  test::write_text(folder.path(), "data.tmp/thesis.tex", "three years of work");

  const Result<OutputFolder> output = OutputFolder::claim(real_files(), folder / "data");

  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::usage);
  EXPECT_TRUE(real_files().exists(folder / "data.tmp/thesis.tex"));
}

}  // namespace
}  // namespace ration::data
