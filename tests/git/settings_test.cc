#include "git/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::git {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using namespace std::string_view_literals;

TEST(GitSettings, AreReadAsGitPrintsThem) {
  EXPECT_THAT(
      read_config(
          "ration.merge\nours\0ration.strict\0ration.merge\nties:0.2,1\0ration.x\na\nb\0"sv),
      ElementsAre(Pair("ration.merge", "ties:0.2,1"),
                  Pair("ration.strict", "true"),
                  Pair("ration.x", "a\nb")))
      << "the last value wins, a key alone is true, and a value may have lines";
  EXPECT_TRUE(read_config("").empty());
}

TEST(GitSettings, TruthHasGitsWords) {
  for (const char* word : {"true", "Yes", "ON", "1", "-3"}) EXPECT_EQ(truth_of(word), true) << word;
  for (const char* word : {"false", "no", "Off", "0", ""}) EXPECT_EQ(truth_of(word), false) << word;
  for (const char* word : {"maybe", "1x", "truee"}) EXPECT_EQ(truth_of(word), std::nullopt) << word;
}

TEST(GitSettings, AllThatAreWrongAreToldAtOnce) {
  const Result<Settings> settings = settings_of(
      {{"ration.strict", "perhaps"}, {"ration.threads", "-1"}, {"ration.sync", "false"}});

  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().kind, ErrorKind::usage);
  EXPECT_THAT(settings.error().describe(), HasSubstr("ration.strict"));
  EXPECT_THAT(settings.error().describe(), HasSubstr("ration.threads"));
}

TEST(GitSettings, AreTheDefaultsWhereNothingIsSaid) {
  const Settings settings = settings_of({{"ration.sync", "false"}}).value();

  EXPECT_FALSE(settings.sync);
  EXPECT_FALSE(settings.strict);
  EXPECT_EQ(settings.threads, 0);
  EXPECT_EQ(settings.merge, "fail");
}

}  // namespace
}  // namespace ration::git
