#include "data/corpora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/hash.h"
#include "data/gzip_builder.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A system without network: `apt-get download` leaves a package, `dpkg-deb -x` unpacks these files.
class Fetch : public testing::Test {
 protected:
  Result<std::string> run(const std::vector<std::string>& words) {
    if (words[0] == "env") {
      if (!online_)
        return Error{.kind = ErrorKind::resource, .what = "E: Unable to locate package"};
      test::write_text(words[2], "package.deb", "");
      return std::string();
    }
    if (words[0] == "dpkg-deb" && words[1] == "-x")
      for (const auto& [path, text] : package_) test::write_text(words[3], path, text);
    return std::string(words[0] == "dpkg-deb" && words[1] == "-f" ? "1.0\n" : "2.0");
  }

  Result<Fetched> fetch(const KnownCorpus& corpus, bool replace = false) {
    return fetch_corpus(real_files(),
                        corpus,
                        folder_ / "texts",
                        {.replace = replace, .system = folder_ / "system"},
                        [&](const std::vector<std::string>& words, double) { return run(words); },
                        {});
  }

  std::string file(const std::string& path) {
    return real_files().read(folder_ / path).value_or("missing");
  }

  test::TemporaryFolder folder_;
  std::map<std::string, std::string> package_;
  bool online_ = true;
};

TEST_F(Fetch, UnpacksTheFilesOfThePackageAndSaysWhereTheyAreFrom) {
  package_ = {{"usr/doc/b.rst.gz", test::gzip("second")},
              {"usr/doc/a.rst", "first"},
              {"usr/doc/translations/a.rst", "premier"},
              {"usr/doc/picture.png", "png"}};
  const KnownCorpus corpus{.name = "manual",
                           .package = "manual-doc",
                           .folder = "usr/doc",
                           .endings = {".rst"},
                           .without = "translations",
                           .sha256 = "0123456789abcdef"};

  const Result<Fetched> fetched = fetch(corpus);

  ASSERT_TRUE(fetched) << fetched.error().describe();
  EXPECT_EQ(file("texts/manual/a.rst"), "first");
  EXPECT_EQ(file("texts/manual/b.rst"), "second");
  EXPECT_THAT(*real_files().list(folder_ / "texts/manual"),
              ElementsAre("a.rst", "b.rst", "ration.fetch.json"));
  EXPECT_EQ(fetched->corpus.version, "1.0");
  EXPECT_EQ(fetched->corpus.bytes, 11U);
  EXPECT_EQ(fetched->corpus.sha256, sha256_hex("firstsecond"));
  EXPECT_TRUE(fetched->corpus.drifted());
}

TEST_F(Fetch, TakesFilesOfANameAlone) {
  package_ = {{"usr/doc/policy.txt.gz", test::gzip("this")}, {"usr/doc/menu-policy.txt", "not"}};

  ASSERT_TRUE(
      fetch({.name = "policy", .package = "p", .folder = "usr/doc", .endings = {"policy.txt"}}));

  EXPECT_THAT(*real_files().list(folder_ / "texts/policy"),
              ElementsAre("policy.txt", "ration.fetch.json"));
}

TEST_F(Fetch, TakesInstalledTextFromTheSystem) {
  online_ = false;
  test::write_text(folder_ / "system", "usr/lib/a.py", "code");
  const KnownCorpus corpus{
      .name = "code", .package = "lib", .folder = "usr/lib", .endings = {".py"}, .installed = true};

  const Result<Fetched> fetched = fetch(corpus);

  ASSERT_TRUE(fetched) << fetched.error().describe();
  EXPECT_EQ(file("texts/code/a.py"), "code");
  EXPECT_EQ(fetched->corpus.version, "2.0");
}

TEST_F(Fetch, MakesALineOfEveryEntryOfADictionary) {
  package_ = {{"usr/dictd/words.dict.dz",
               test::gzip("ant\n  An insect.\n\n  A worker.\n\nbee\n  Another.\n")}};
  const KnownCorpus corpus{.name = "words",
                           .package = "dict",
                           .folder = "usr/dictd",
                           .endings = {"words.dict.dz"},
                           .entries = true};

  ASSERT_TRUE(fetch(corpus));

  EXPECT_EQ(file("texts/words/words.jsonl"),
            "{\"id\":1,\"text\":\"ant\\n  An insect.\\n\\n  A "
            "worker.\"}\n{\"id\":2,\"text\":\"bee\\n  Another.\"}\n");
}

TEST_F(Fetch, LeavesNothingWhenThePackageCannotBeHad) {
  online_ = false;

  const Result<Fetched> fetched = fetch({.name = "manual", .package = "gone", .folder = "usr/doc"});

  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::resource);
  EXPECT_THAT(fetched.error().describe(), HasSubstr("Unable to locate package"));
  EXPECT_TRUE(real_files().list(folder_ / "texts")->empty());
}

TEST_F(Fetch, KeepsWhatIsThereUnlessToldToReplaceIt) {
  package_ = {{"usr/doc/a.txt", "old"}};
  const KnownCorpus corpus{.name = "manual", .package = "doc", .folder = "usr/doc"};
  ASSERT_TRUE(fetch(corpus));
  package_ = {{"usr/doc/a.txt", "new"}};

  const Result<Fetched> again = fetch(corpus);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->there_already);
  EXPECT_EQ(file("texts/manual/a.txt"), "old");

  ASSERT_TRUE(fetch(corpus, true));
  EXPECT_EQ(file("texts/manual/a.txt"), "new");
}

TEST_F(Fetch, TouchesNoFolderThatItDidNotMake) {
  test::write_text(folder_.path(), "texts/manual/thesis.tex", "three years of work");

  const Result<Fetched> fetched =
      fetch({.name = "manual", .package = "doc", .folder = "usr/doc"}, true);

  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::usage);
  EXPECT_EQ(file("texts/manual/thesis.tex"), "three years of work");
}

TEST(KnownCorpora, HaveNamesOfTheirOwnAndAllFacts) {
  std::set<std::string_view> names;
  for (const KnownCorpus& corpus : known_corpora()) {
    EXPECT_TRUE(names.insert(corpus.name).second) << corpus.name;
    EXPECT_EQ(corpus.sha256.size(), 16U) << corpus.name;
    EXPECT_GT(corpus.bytes, 0U) << corpus.name;
    EXPECT_FALSE(corpus.licence.empty()) << corpus.name;
    EXPECT_EQ(find_corpus(corpus.name), &corpus);
  }
}

}  // namespace
}  // namespace ration::data
