#include "git/raw_diff.h"

#include <gtest/gtest.h>

namespace ration::git {
namespace {

const std::string kA(40, 'a');
const std::string kB(40, 'b');
const std::string kC(40, 'c');
const std::string kNone(40, '0');

// With NULs for bars.
std::string nul(std::string text) {
  for (char& c : text)
    if (c == '|') c = '\0';
  return text;
}

TEST(RawDiff, ReadsWhatGitLists) {
  const auto changes =
      parse_raw_diff(nul(":100644 100755 " + kA + " " + kB + " M|a b\n|:000000 100644 " + kNone +
                         " " + kC + " A|:odd|:100644 000000 " + kA + " " + kNone + " D|gone|"));

  ASSERT_TRUE(changes) << changes.error().describe();
  ASSERT_EQ(changes->size(), 3U);
  EXPECT_EQ((*changes)[0].before, std::vector<std::string>{kA});
  EXPECT_EQ((*changes)[0].after, kB);
  EXPECT_EQ((*changes)[0].path, "a b\n");
  EXPECT_TRUE(is_zero((*changes)[1].before[0]));
  EXPECT_EQ((*changes)[1].path, ":odd");
  EXPECT_EQ((*changes)[2].status, "D");
}

TEST(RawDiff, ReadsLogsWithMergesAndCommitsWithoutFiles) {
  const auto commits = parse_raw_log(
      nul("\x01" + kA + "\x1f" + "2026-01-31\x1fmerge: of two|\n::100644 100644 100644 " + kA +
          " " + kB + " " + kC + " MM|m||\x01" + kB + "\x1f" + "2026-01-30\x1f||\x01" + kC + "\x1f" +
          "2026-01-29\x1f" + "first|\n:000000 100644 " + kNone + " " + kA + " A|m|:000000 100644 " +
          kNone + " " + kB + " A|n|"));

  ASSERT_TRUE(commits) << commits.error().describe();
  ASSERT_EQ(commits->size(), 3U);
  EXPECT_EQ((*commits)[0].subject, "merge: of two");
  EXPECT_EQ((*commits)[0].files[0].before, (std::vector<std::string>{kA, kB}));
  EXPECT_EQ((*commits)[0].files[0].after, kC);
  EXPECT_TRUE((*commits)[1].files.empty());
  EXPECT_EQ((*commits)[2].date, "2026-01-29");
  EXPECT_EQ((*commits)[2].files.size(), 2U);
}

TEST(RawDiff, RefusesAnythingElse) {
  const std::string good = nul(":100644 100644 " + kA + " " + kB + " M|m|");
  ASSERT_TRUE(parse_raw_diff(good));
  for (const std::string& bad : {std::string("m"),
                                 good.substr(1),
                                 ":" + good,
                                 good.substr(0, good.size() - 2),
                                 nul(":100644 100644 " + kA + " M|m|"),
                                 nul("fatal: bad object|")})
    EXPECT_FALSE(parse_raw_diff(bad)) << bad;
  EXPECT_FALSE(parse_raw_log(good)) << "a file before any commit";
  EXPECT_EQ(parse_raw_diff("")->size(), 0U);
}

}  // namespace
}  // namespace ration::git
