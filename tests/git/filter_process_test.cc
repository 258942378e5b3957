#include "git/filter_process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "git/conversation.h"
#include "git/streams_in_memory.h"
#include "support/temporary_folder.h"

namespace ration::git {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::string_literals;

class FilterProcess : public testing::Test {
 protected:
  test::Outcome converse(const std::string& from_git) {
    return test::converse(filter_, folder_.path(), from_git);
  }
  test::ReversingFilter filter_;
  ration::test::TemporaryFolder folder_;
};

TEST_F(FilterProcess, ShakesHandsAsGitsDocumentationShows) {
  // gitattributes(5), "Long Running Filter Process".
  const test::Outcome outcome = converse(test::greeting());

  EXPECT_TRUE(outcome.result);
  EXPECT_EQ(outcome.out,
            "0016git-filter-server\n000eversion=2\n0000"
            "0015capability=clean\n0016capability=smudge\n0000");
}

TEST_F(FilterProcess, OffersDelayOnlyWhereItCanWait) {
  filter_.waits = {"a"};

  EXPECT_THAT(converse(test::greeting()).out, HasSubstr("capability=delay\n"));
}

TEST_F(FilterProcess, AnswersCleanAndSmudgeWithContentAndAStatusThatStays) {
  const test::Outcome outcome =
      converse(test::greeting() + test::request("clean", "a b.st", "abc") +
               test::request("smudge", "a b.st", "cba"));

  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.answers,
            "0013status=success\n0000"
            "0007cba"
            "00000000"
            "0013status=success\n0000"
            "0007abc"
            "00000000");
}

TEST_F(FilterProcess, AnswersEmptyContentWithEmptyContent) {
  EXPECT_EQ(converse(test::greeting() + test::request("smudge", "a", "")).answers,
            "0013status=success\n000000000000");
}

TEST_F(FilterProcess, ContentLongerThanMemoryComesThroughUnchanged) {
  std::string content;
  for (std::size_t i = 0; content.size() < (std::size_t{5} << 20); ++i)
    content += fmt::format("{:08}", i);

  const test::Outcome outcome = converse(test::greeting() + test::request("clean", "a", content));

  ASSERT_EQ(outcome.contents.size(), 1U);
  EXPECT_EQ(outcome.contents[0], std::string(content.rbegin(), content.rend()));
}

TEST_F(FilterProcess, AFileThatFailsCostsOnlyItself) {
  filter_.fails = {"bad"};
  const test::Outcome outcome =
      converse(test::greeting() + test::request("clean", "bad", "abc") +
               test::request("smudge", "bad", "abc") + test::request("clean", "good", "abc"));

  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.answers,
            "0011status=error\n0000"
            "0011status=error\n0000"
            "0013status=success\n0000"
            "0007cba"
            "00000000");
  EXPECT_THAT(outcome.said, ElementsAre(HasSubstr("bad"), HasSubstr("bad")));
}

TEST_F(FilterProcess, AFailureBehindTheFirstByteIsToldBehindTheContent) {
  filter_.fails_late = {"a"};
  const test::Outcome outcome = converse(test::greeting() + test::request("smudge", "a", "abc"));

  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.answers,
            "0013status=success\n0000"
            "0005c"
            "0000"
            "0011status=error\n0000");
}

TEST_F(FilterProcess, WhatMustWaitIsAskedForAgain) {
  filter_.waits = {"late"};
  const test::Outcome outcome =
      converse(test::greeting() + test::request("smudge", "late", "abc", "can-delay=1\n") +
               test::request("smudge", "soon", "xyz", "can-delay=1\n") +
               test::packet("command=list_available_blobs\n") + "0000" +
               test::request("smudge", "late", "") +
               test::packet("command=list_available_blobs\n") + "0000");

  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.answers,
            "0013status=delayed\n0000"
            "0013status=success\n00000007zyx00000000"
            "0012pathname=late\n00000013status=success\n0000"
            "0013status=success\n00000007cba00000000"
            "00000013status=success\n0000");
}

TEST_F(FilterProcess, WhatGitNeverSaysEndsItWithoutAnAnswer) {
  const std::string greeting = test::greeting();
  for (const std::string& bytes :
       {"0015git-filter-clienta\n0000"s,
        test::packet("git-filter-client\n") + test::packet("version=3\n") + "0000",
        test::packet("git-filter-client\n") + test::packet("version=2\n") + "0000",
        "0000"s,
        greeting + test::packet("command=destroy\n") + test::packet("pathname=a\n") + "00000000",
        greeting + test::packet("command=clean\n") + "0000" + test::packet("abc") + "0000",
        greeting + test::packet("pathname=a\n") + "0000" + test::packet("abc") + "0000",
        greeting + "0001",
        greeting + test::packet("command=clean\n")}) {
    const test::Outcome outcome = converse(bytes);
    EXPECT_FALSE(outcome.result) << bytes;
    EXPECT_EQ(outcome.answers, "") << bytes;
  }
}

TEST_F(FilterProcess, ContentThatIsCutIsNeverAnswered) {
  const std::string request = test::request("clean", "a", "abc");
  const std::string whole = test::greeting() + request;
  for (std::size_t left = 1; left < request.size(); ++left) {
    const test::Outcome outcome = converse(whole.substr(0, whole.size() - left));
    EXPECT_FALSE(outcome.result) << left;
    EXPECT_EQ(outcome.answers, "") << left;
  }
}

TEST_F(FilterProcess, AStreamThatBreaksIsAnError) {
  PacketReader reader(test::reading(test::greeting() + test::request("clean", "a", "abc"), 64));
  std::size_t writes = 0;
  PacketWriter writer([&](std::string_view) -> Result<void> {
    if (++writes < 3) return {};
    return Error{.kind = ErrorKind::resource, .what = "broken pipe"};
  });

  const Result<void> done = serve(filter_, {reader, writer, folder_.path(), [](const Error&) {}});

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::resource);
}

TEST_F(FilterProcess, DamagedConversationsNeverGiveWrongContent) {
  test::fuzz_conversations(folder_.path(), 1, 1500);
}

}  // namespace
}  // namespace ration::git
