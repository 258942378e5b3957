#include "study/remedies/measures.h"

#include <gtest/gtest.h>

namespace ration::study {
namespace {

RemedyMeasures measured() {
  RemedyMeasures m{.name = "study", .baseline = "repeat", .task = "continuations"};
  m.arms = {{.name = "code-10", .kind = "mixing", .group = "code"},
            {.name = "both", .kind = "combined", .parts = {"code-10", "decay"}}};
  m.runs = {{.arm = "repeat",
             .size = "2x64",
             .replica = 3,
             .run = "abc",
             .params = 1000,
             .params_stored = 2000,
             .tokens = 64000,
             .unique = 8000,
             .loss = 3.25,
             .task = 0.75,
             .flops = 3e8},
            {.arm = "code-10",
             .size = "2x64",
             .params = 1000,
             .params_stored = 1000,
             .tokens = 64000,
             .added = 6400,
             .unique = 8000,
             .loss = 3.125,
             .flops = 3e8,
             .donors = 1e8}};
  m.law = {m.runs.front()};
  m.notes = {"one run has no loss"};
  return m;
}

TEST(RemedyMeasures, ComeBackFromTheirDocument) {
  const Json json = to_json(measured());

  const Result<RemedyMeasures> back = measures_from_json(json, "measured.json");

  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(to_json(*back), json);
  EXPECT_EQ(back->runs[0].task, 0.75);
  EXPECT_EQ(back->runs[1].donors, 1e8);
  EXPECT_EQ(back->arms[1].parts.size(), 2U);
}

TEST(RemedyMeasures, ABadLineIsNamed) {
  Json json = to_json(measured());
  json["runs"][1]["loss_nats"] = nullptr;
  json["runs"][0].erase("flops");
  json["arms"][0]["kind"] = "magic";

  const Result<RemedyMeasures> back = measures_from_json(json, "measured.json");

  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind, ErrorKind::input);
  ASSERT_EQ(back.error().causes.size(), 3U);
  EXPECT_NE(back.error().causes[0].what.find("arms[0]: kind \"magic\""), std::string::npos);
  EXPECT_NE(back.error().causes[1].what.find("runs[0]: flops is missing"), std::string::npos);
  EXPECT_NE(back.error().causes[2].what.find("runs[1]: loss_nats = null"), std::string::npos);
}

TEST(RemedyMeasures, NumbersThatNoRunHasAreRefused) {
  for (const auto& [key, value] : {std::pair<const char*, Json>{"replica", 1.5},
                                   {"replica", 1e30},
                                   {"flops", 1e300},
                                   {"tokens", "many"},
                                   {"task", 1.5}}) {
    Json json = to_json(measured());
    json["runs"][0][key] = value;

    EXPECT_FALSE(measures_from_json(json, "measured.json")) << key << " = " << value;
  }
  Json json = to_json(measured());
  json["arms"][1]["parts"] = {"code-10", 3};
  EXPECT_FALSE(measures_from_json(json, "measured.json"));
}

TEST(RemedyMeasures, ARunOfNoArmIsRefused) {
  Json json = to_json(measured());
  json["runs"][1]["arm"] = "cold";

  const Result<RemedyMeasures> back = measures_from_json(json, "measured.json");

  ASSERT_FALSE(back);
  EXPECT_NE(back.error().what.find("\"cold\""), std::string::npos);
}

}  // namespace
}  // namespace ration::study
