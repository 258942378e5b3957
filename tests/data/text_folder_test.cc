#include "data/text_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/gzip_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;

class TextFolder : public testing::Test {
 protected:
  void write(const std::string& path, std::string_view bytes) {
    ASSERT_TRUE(real_files().make_folders((folder_ / path).parent_path()));
    ASSERT_TRUE(real_files().write_whole(folder_ / path, bytes));
  }

  // The text, or the name of the reason why there is none.
  std::string read(std::string_view bytes, std::uint64_t min_bytes = 1) {
    write("file", bytes);
    const auto text = read_text(real_files(), folder_ / "file", min_bytes);
    const auto* reason = std::get_if<SkipReason>(&text);
    return reason != nullptr ? "skipped: " + std::string(name_of(*reason))
                             : std::get<std::string>(text);
  }

  test::TemporaryFolder folder_;
};

TEST_F(TextFolder, ListsFilesOfAllDepthsInByteOrderOfTheirNames) {
  for (const char* path : {"b.txt", "a/z.txt", "a/b/c.md", "a.txt.gz", "B.txt", "a.txt1"})
    write(path, "x");

  const Result<TextFiles> files = list_text_files(folder_.path());

  ASSERT_TRUE(files) << files.error().describe();
  EXPECT_THAT(files->paths,
              ElementsAre("B.txt", "a.txt.gz", "a.txt1", "a/b/c.md", "a/z.txt", "b.txt"));
  EXPECT_TRUE(files->skipped.empty());
}

TEST_F(TextFolder, LeavesOutHiddenFilesLinksAndNamesThatCannotBeRecorded) {
  write("text.txt", "x");
  write(".git/config", "x");
  write("bad\xff.txt", "x");
  std::filesystem::create_symlink("text.txt", folder_ / "link.txt");
  std::filesystem::create_directory_symlink(".", folder_ / "circle");

  const Result<TextFiles> files = list_text_files(folder_.path());

  ASSERT_TRUE(files) << files.error().describe();
  EXPECT_THAT(files->paths, ElementsAre("text.txt"));
  std::vector<std::string> reasons;
  for (const SkippedFile& file : files->skipped) reasons.emplace_back(name_of(file.reason));
  EXPECT_THAT(reasons, testing::UnorderedElementsAre("hidden", "link", "link", "bad_name"));
}

TEST_F(TextFolder, ThatIsMissingOrAFileIsAnInputErrorWithItsPath) {
  write("file.txt", "x");
  for (const char* name : {"nowhere", "file.txt"}) {
    const Result<TextFiles> files = list_text_files(folder_ / name);

    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().kind, ErrorKind::input);
    EXPECT_THAT(files.error().what, testing::HasSubstr(name));
  }
}

TEST_F(TextFolder, GivesTheTextOfPlainAndCompressedFiles) {
  EXPECT_EQ(read("plain\r\n"), "plain\r\n");
  EXPECT_EQ(read(test::gzip("packed")), "packed");
}

TEST_F(TextFolder, SaysWhyAFileIsNoDocument) {
  EXPECT_EQ(read(""), "skipped: empty");
  EXPECT_EQ(read(test::gzip("")), "skipped: empty");
  EXPECT_EQ(read("1234", 5), "skipped: tiny");
  EXPECT_EQ(read("12345", 5), "12345");
  EXPECT_EQ(read(std::string("a\0b", 3)), "skipped: binary");
  EXPECT_EQ(read("caf\xe9"), "skipped: invalid_utf8");
  EXPECT_EQ(read(test::gzip("cut").substr(0, 12)), "skipped: damaged_gzip");
  std::filesystem::resize_file(folder_ / "file", kMaxDocumentBytes + 1);
  EXPECT_EQ(std::get<SkipReason>(read_text(real_files(), folder_ / "file", 1)),
            SkipReason::too_large);
  EXPECT_EQ(std::get<SkipReason>(read_text(real_files(), folder_ / "none", 1)),
            SkipReason::unreadable);
}

// The limits of RFC 3629, section 4.
TEST(Utf8, AcceptsExactlyTheWellFormedSequences) {
  for (const char* good : {"",
                           "a",
                           "\x7f",
                           "\xc2\x80",
                           "\xdf\xbf",
                           "\xe0\xa0\x80",
                           "\xed\x9f\xbf",
                           "\xee\x80\x80",
                           "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80",
                           "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80",
                          "\xbf",
                          "\xc0\xaf",
                          "\xc1\xbf",
                          "\xc2",
                          "\xc2"
                          "a",
                          "\xe0\x9f\xbf",
                          "\xed\xa0\x80",
                          "\xe1\x80",
                          "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80",
                          "\xff",
                          "a\xe1\x80"
                          "b"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Utf8, FindsABadByteAnywhereInALongText) {
  const std::string text = std::string(150, 'a') + "\xe2\x82\xac" + std::string(150, 'b');
  ASSERT_TRUE(is_utf8(text));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string broken = text;
    broken[at] = '\xff';
    EXPECT_FALSE(is_utf8(broken)) << at;
  }
}

TEST(NormalisedText, DiffersOnlyWhereWordsDiffer) {
  EXPECT_EQ(normalised("  one\r\n\ttwo  three \n"), "one two three");
  EXPECT_EQ(normalised("one two three"), "one two three");
  EXPECT_EQ(normalised(" \n "), "");
  EXPECT_NE(normalised("One two"), normalised("one two"));
}

TEST(DocumentName, StaysTheSameWhenTheFileIsCompressed) {
  EXPECT_EQ(document_name("a/b.txt.gz"), document_name("a/b.txt"));
  EXPECT_NE(document_name("a/b.gzip"), document_name("a/b"));
}

}  // namespace
}  // namespace ration::data
