#include "git/import_stream.h"

#include <gtest/gtest.h>

namespace ration::git {
namespace {

using Kind = StreamPart::Kind;

std::vector<StreamPart> parts_of(std::string_view text) {
  StreamReader reader(text);
  std::vector<StreamPart> parts;
  for (;;) {
    Result<StreamPart> part = reader.next();
    EXPECT_TRUE(part) << part.error().what;
    if (!part || part->kind == Kind::end) return parts;
    parts.push_back(std::move(*part));
  }
}

std::string rewritten(std::string_view stream, const StreamChanges& changes) {
  std::string text;
  const Result<void> done = rewrite_stream(stream, changes, [&](std::string_view part) {
    text += part;
    return Result<void>();
  });
  EXPECT_TRUE(done);
  return text;
}

const StreamChanges kNoContents = {.content = [](const StreamPart&) { return ""; },
                                   .attributes = ":9"};

TEST(ImportStream, MessagesAreNotTakenForChanges) {
  const std::vector<StreamPart> parts = parts_of(
      "commit refs/heads/main\nmark :7\ndata 15\nM 100644 a b\n\nxfrom :1\nM 100755 ab p q\n");

  ASSERT_EQ(parts.size(), 5U);
  EXPECT_EQ(parts[0].kind, Kind::commit);
  EXPECT_EQ(parts[1].mark, 7U);
  EXPECT_EQ(parts[2].text, "data 15\nM 100644 a b\n\nx");
  EXPECT_EQ(parts[3].kind, Kind::parent);
  EXPECT_EQ(parts[4].mode, "100755");
  EXPECT_EQ(parts[4].blob, "ab");
  EXPECT_EQ(parts[4].path, "p q");
}

TEST(ImportStream, LinksAndSubmodulesAreNoFiles) {
  for (const auto& [mode, regular] : {std::pair("100644", true),
                                      std::pair("100755", true),
                                      std::pair("120000", false),
                                      std::pair("160000", false)})
    EXPECT_EQ(parts_of(std::string("M ") + mode + " ab p\n")[0].regular(), regular) << mode;
}

TEST(ImportStream, PathsAreUnquotedAsGitQuotesThem) {
  EXPECT_EQ(*unquoted_path("plain"), "plain");
  EXPECT_EQ(*unquoted_path("\"a b\""), "a b");
  EXPECT_EQ(*unquoted_path(R"("gr\303\274\303\237e\tx\n\"\\")"),
            "gr\xc3\xbc\xc3\x9f"
            "e\tx\n\"\\");
}

TEST(ImportStream, WhatGitDoesNotPrintIsAnError) {
  for (const char* text : {"\"a", "\"", "\"\\\"", "\"\\9\"", "\"\\77\"", "\"\\777\"", "\"\\-01\""})
    EXPECT_FALSE(unquoted_path(text)) << text;
  for (const char* text : {"no end",
                           "data 5\nabc\n",
                           "data x\n",
                           "M 100644\n",
                           "M 100644 a\n",
                           "R a b\n",
                           "mark :x\n",
                           "D \"a\n"})
    EXPECT_FALSE(StreamReader(text).next()) << text;
}

TEST(ImportStream, TheSameContentsGiveTheSameStream) {
  const std::string stream =
      "reset refs/heads/main\ncommit refs/heads/main\nmark :1\ndata 3\none"
      "M 100644 aa .gitattributes\nM 100644 bb \"a b\"\n\n"
      "commit refs/heads/main\nmark :2\ndata 4\ntwo\nfrom :1\nmerge :1\nD x\n\n"
      "tag v1\nmark :3\nfrom :1\ndata 0\n\n";

  EXPECT_EQ(rewritten(stream, kNoContents), stream);
}

TEST(ImportStream, ContentsAreReplacedWhereTheyStand) {
  const StreamChanges changes = {
      .content = [](const StreamPart& part) { return part.path == "b" ? ":5" : ""; },
      .attributes = ":9"};
  const std::string head = "commit r\nfrom :1\n";

  EXPECT_EQ(rewritten(head + "M 100644 b b\nM 100755 b a\nM 120000 b b\n\n", changes),
            head + "M 100644 :5 b\nM 100755 b a\nM 120000 b b\n\n");
}

TEST(ImportStream, EveryCommitGetsAttributes) {
  const std::string added = "M 100644 :9 .gitattributes\n";

  EXPECT_EQ(rewritten("commit r\ndata 0\nM 100644 a b\n\n", kNoContents),
            "commit r\ndata 0\nM 100644 a b\n" + added + "\n");
  EXPECT_EQ(rewritten("commit r\ndata 0\n\n", kNoContents), "commit r\ndata 0\n" + added + "\n");
  EXPECT_EQ(rewritten("commit r\nfrom :1\nD .gitattributes\nD a\n\n", kNoContents),
            "commit r\nfrom :1\n" + added + "D a\n\n");
  EXPECT_EQ(rewritten("commit r\nfrom :1\nD a/.gitattributes\n\n", kNoContents),
            "commit r\nfrom :1\nD a/.gitattributes\n\n");
}

}  // namespace
}  // namespace ration::git
