#include "study/fusion/ground.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::study {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

FusionStudy two_contributors() {
  FusionStudy study;
  study.arms.resize(1);
  for (const char* id : {"code", "prose"}) {
    fuse::Contributor each;
    each.id = id;
    each.data = std::string("../texts/") + id;
    study.arms[0].config.contributors.push_back(each);
  }
  return study;
}

TEST(FusionCorpora, AreTheContributorsAndThenTheUnseen) {
  FusionStudy study = two_contributors();
  study.evaluate.unseen = {"/other/boost/"};

  const auto corpora = corpora_of(study, "/home/sweeps", "", "f.toml");

  ASSERT_TRUE(corpora) << corpora.error().describe();
  ASSERT_THAT(*corpora, SizeIs(3));
  EXPECT_EQ((*corpora)[0].name, "code");
  EXPECT_EQ((*corpora)[0].data, "/home/texts/code");
  EXPECT_TRUE((*corpora)[0].seen);
  EXPECT_EQ((*corpora)[2].name, "boost");
  EXPECT_FALSE((*corpora)[2].seen);
}

TEST(FusionCorpora, UseTheFilesDataWhereAContributorHasNone) {
  FusionStudy study = two_contributors();
  study.arms[0].config.contributors[0].data.clear();

  const auto corpora = corpora_of(study, "/home/sweeps", "/texts/broad", "f.toml");

  ASSERT_TRUE(corpora) << corpora.error().describe();
  EXPECT_EQ((*corpora)[0].data, "/texts/broad");
  EXPECT_FALSE(corpora_of(study, "/home/sweeps", "", "f.toml"));
}

TEST(FusionCorpora, AreNotUnseenWhenSomebodyHasThem) {
  FusionStudy study = two_contributors();
  for (const char* data : {"../texts/prose", "/elsewhere/code"}) {
    study.evaluate.unseen = {data};

    const auto corpora = corpora_of(study, "/home/sweeps", "", "f.toml");

    ASSERT_FALSE(corpora) << data;
    EXPECT_EQ(corpora.error().kind, ErrorKind::usage);
    EXPECT_THAT(corpora.error().what, HasSubstr(data));
  }
}

}  // namespace
}  // namespace ration::study
