#include "structure/includes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"

namespace ration::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Rooms kHouse = rooms_of(
    "| room | may include | libraries |\n"
    "| `base` | — | |\n"
    "| `fit` | base | `ceres/` |\n"
    "| `train` | base fit/law.h | `ATen/` `torch/` |\n");

TEST(Includes, OfTheProjectFollowTheArchitecture) {
  const Path root = RATION_ROOT;
  const Rooms rooms = rooms_of(real_files().read(root / "docs/architecture.md").value());
  Sources sources;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "src")) {
    const std::string ending = entry.path().extension().string();
    if (ending != ".h" && ending != ".cc" && ending != ".cu" && ending != ".cuh") continue;
    sources[entry.path().lexically_relative(root / "src").string()] =
        real_files().read(entry.path()).value();
  }
  ASSERT_TRUE(rooms.contains("base"));
  ASSERT_GT(sources.size(), 50U);

  for (const std::string& problem : violations(rooms, sources)) ADD_FAILURE() << problem;
}

TEST(Includes, AreReadFromTheText) {
  const Includes includes = includes_of(
      "#pragma once\n// #include \"no/comment.h\"\n#include <vector>\n  #include \"base/a.h\"  // "
      "x\n");

  EXPECT_THAT(includes.own, ElementsAre("base/a.h"));
  EXPECT_THAT(includes.library, ElementsAre("vector"));
}

TEST(IncludeRules, AcceptWhatTheTableAllows) {
  EXPECT_THAT(violations(kHouse,
                         {{"base/a.h", "#include <string>"},
                          {"fit/law.h", "#include \"base/a.h\""},
                          {"fit/law.cc", "#include \"fit/law.h\"\n#include <ceres/jet.h>"},
                          {"train/model.cc", "#include \"fit/law.h\"\n#include <ATen/ATen.h>"}}),
              IsEmpty());
}

TEST(IncludeRules, FindAnArrowThatTheTableDoesNotHave) {
  EXPECT_THAT(violations(kHouse, {{"base/a.h", "#include \"fit/law.h\""}, {"fit/law.h", ""}}),
              ElementsAre("base/a.h: base may not include fit/law.h"));
  EXPECT_THAT(violations(kHouse, {{"train/a.cc", "#include \"fit/fit.h\""}, {"fit/fit.h", ""}}),
              ElementsAre("train/a.cc: train may not include fit/fit.h"));
}

TEST(IncludeRules, FindRoomsAndHeadersThatDoNotExist) {
  EXPECT_THAT(violations(kHouse, {{"base/a.h", "#include \"base/b.h\""}, {"attic/a.h", ""}}),
              ElementsAre("attic/a.h: the table of rooms has no attic",
                          "base/a.h: there is no src/base/b.h"));
}

TEST(IncludeRules, FindCycles) {
  EXPECT_THAT(
      violations(kHouse,
                 {{"base/a.h", "#include \"base/b.h\""}, {"base/b.h", "#include \"base/a.h\""}}),
      ElementsAre("files include each other: base/a.h -> base/b.h -> base/a.h"));
  EXPECT_THAT(violations(rooms_of("| `a` | b | |\n| `b` | a | |\n"), {}),
              ElementsAre("the table of rooms goes in a circle: a -> b -> a"));
}

TEST(IncludeRules, KeepALibraryInItsRoom) {
  EXPECT_THAT(violations(kHouse, {{"base/a.cc", "#include <ceres/ceres.h>"}}),
              ElementsAre("base/a.cc: <ceres/ceres.h> belongs to fit alone"));
}

TEST(IncludeRules, LetEachRoomThatNamesALibrarySeeIt) {
  const Rooms rooms = rooms_of("| `a` | | `Eigen/` |\n| `b` | a | `Eigen/Core` |\n| `c` | | |\n");

  EXPECT_THAT(violations(rooms,
                         {{"a/a.h", "#include <Eigen/Core>"},
                          {"b/b.cc", "#include \"a/a.h\"\n#include <Eigen/Core>"}}),
              IsEmpty());
  EXPECT_THAT(
      violations(rooms,
                 {{"b/b.cc", "#include <Eigen/Dense>"}, {"c/c.cc", "#include <Eigen/Core>"}}),
      ElementsAre("b/b.cc: <Eigen/Dense> belongs to a alone",
                  "c/c.cc: <Eigen/Core> belongs to a and b alone"));
}

TEST(IncludeRules, KeepALibraryOutOfWhatOtherRoomsInclude) {
  EXPECT_THAT(violations(kHouse,
                         {{"fit/law.h", "#include \"fit/inner.h\""},
                          {"fit/inner.h", "#include <ceres/jet.h>"},
                          {"train/a.cc", "#include \"fit/law.h\""}}),
              ElementsAre("train/a.cc: sees <ceres/jet.h> of fit through fit/inner.h"));
}

TEST(IncludeRules, WantAHeaderFirstInItsOwnSource) {
  EXPECT_THAT(
      violations(kHouse,
                 {{"base/a.h", ""}, {"base/a.cc", "#include <string>\n#include \"base/a.h\""}}),
      ElementsAre("base/a.cc: its first include should be \"base/a.h\""));
}

}  // namespace
}  // namespace ration::test
