#include "fuse/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace ration::fuse {
namespace {

using testing::HasSubstr;

Json table(const Json& changes = Json::object()) {
  Json table = {{"base", "block:broad"},
                {"contributor",
                 {{{"id", "prose"}, {"data", "d/prose"}, {"lr", 1e-3}},
                  {{"id", "code"}, {"data", "d/code"}, {"weight", 2}},
                  {{"id", "law"}, {"data", "d/law"}}}}};
  table.update(changes);
  return table;
}

std::string refusal(const Json& changes) {
  const Result<Config> config = parse_config(table(changes), "first.toml");
  if (config) return "taken";
  EXPECT_EQ(config.error().kind, ErrorKind::usage);
  return config.error().describe();
}

TEST(FusionConfig, KeepsContributorsInOrderOfTheirIdsWithTheirSettings) {
  const Config config = parse_config(table(), "first.toml").value();

  ASSERT_EQ(config.contributors.size(), 3U);
  EXPECT_EQ(config.contributors[0].id, "code");
  EXPECT_EQ(config.contributors[0].weight, 2);
  EXPECT_TRUE(config.contributors[0].settings.empty());
  EXPECT_EQ(config.contributors[2].id, "prose");
  EXPECT_EQ(config.contributors[2].settings, Json({{"lr", 1e-3}}));
}

TEST(FusionConfig, ComesBackFromItsJson) {
  const Config config = parse_config(table({{"op", {{"method", "ties"}, {"k", 0.1}}},
                                            {"mode", "sync"},
                                            {"contributors_per_round", 2},
                                            {"deadline_s", "1h30m"},
                                            {"late", "next"},
                                            {"probe", {"d/probe"}},
                                            {"fixed", {{"tokens", "100Ktok"}}},
                                            {"faults", {{"law", "scale:10"}, {"*", "fail:0.3"}}}}),
                                     "first.toml")
                            .value();

  const Config again = parse_config(to_json(config), "again").value();

  EXPECT_EQ(to_json(again), to_json(config));
  EXPECT_EQ(again.deadline_s, 5400);
  EXPECT_EQ(again.op.k, 0.1);
  EXPECT_EQ(again.faults.at("law").value, 10);
  EXPECT_TRUE(again.rollback) << "there is a probe";
  EXPECT_EQ(again.screen.back(), Check::probe);
}

TEST(FusionConfig, TellsAllMistakesTogether) {
  const std::string text = refusal({{"rounds", 0},
                                    {"quorum", 2},
                                    {"momentun", 0.9},
                                    {"mode", "sinc"},
                                    {"op", "slerp"},
                                    {"late", 3}});

  for (const char* const part : {"first.toml: [fuse] rounds = 0 is out of range",
                                 "quorum = 2 is out of range",
                                 "momentun is no key here",
                                 "did you mean \"momentum\"?",
                                 "mode = \"sinc\" is no choice",
                                 "op = \"slerp\" is no operator of rounds",
                                 "late = 3 is no choice"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(FusionConfig, RefusesWhatDoesNotGoTogether) {
  EXPECT_THAT(refusal({{"screen", {"probe"}}}), HasSubstr("probe is needed by"));
  EXPECT_THAT(refusal({{"rollback", true}}), HasSubstr("probe is needed by"));
  EXPECT_THAT(refusal({{"mode", "async"}, {"momentum", 0.5}}), HasSubstr("for mode = \"sync\""));
  EXPECT_THAT(refusal({{"mode", "async"}, {"op", "ties"}}), HasSubstr("for mode = \"sync\""));
  EXPECT_THAT(refusal({{"contributors_per_round", 4}}), HasSubstr("is 4, of 3 contributors"));
  EXPECT_THAT(refusal({{"faults", {{"poetry", "flip"}}}}), HasSubstr("who is no contributor"));
  EXPECT_THAT(refusal({{"faults", {{"law", "fail:2"}}}}),
              HasSubstr("faults: law = \"fail:2\" is no fault"));
  EXPECT_THAT(refusal({{"contributor", {{{"id", "x"}}, {{"id", "x"}}}}}),
              HasSubstr("names \"x\" twice"));
  EXPECT_THAT(refusal({{"contributor", {{{"id", "../x"}}}}}), HasSubstr("id is no name"));
  EXPECT_THAT(refusal({{"contributor", {{{"id", "x"}, {"external", true}, {"lr", 1}}}}}),
              HasSubstr("lr is no key here"));
  EXPECT_THAT(refusal({{"op", {{"method", "ties"}, {"kk", 1}}}}),
              HasSubstr("does not read \"kk\""));
}

TEST(FusionConfig, RefusesFaultsOfWhomIsNotTrainedHere) {
  const Json two = {{{"id", "guest"}, {"external", true}}, {{"id", "law"}}};
  const Json one = {{{"id", "guest"}, {"external", true}}};

  EXPECT_THAT(refusal({{"contributor", two}, {"faults", {{"guest", "scale:10"}}}}),
              HasSubstr("faults: guest = \"scale:10\" has no effect: guest is external"));
  EXPECT_THAT(refusal({{"contributor", one}, {"faults", {{"*", "fail:0.5"}}}}),
              HasSubstr("faults: \"*\" has no effect"));
  EXPECT_EQ(refusal({{"contributor", two}, {"faults", {{"*", "fail:0.5"}}}}), "taken");
}

TEST(FusionConfig, RefusesSettingsWithoutEffectAllTogether) {
  const std::string sync =
      refusal({{"op", "median"},
               {"on_stall", "extend"},
               {"screen", {"norm", "format", "norm"}},
               {"fixed", {{"lr", 1}}},
               {"contributor", {{{"id", "x"}, {"external", true}, {"weight", 2}}}}});
  for (const char* const part : {"the weight of x has no effect: op = \"median\" takes no weights",
                                 "on_stall = \"extend\" has no effect: there is no deadline",
                                 "screen names \"norm\" twice",
                                 "fixed has no effect: all contributors are external"})
    EXPECT_THAT(sync, HasSubstr(part));
  EXPECT_THAT(refusal({{"op", "trimmed_mean"}, {"weights", "tokens"}}),
              HasSubstr("weights has no effect: op = \"trimmed_mean\" takes no weights"));
  const std::string async = refusal({{"mode", "async"}, {"late", "next"}, {"on_stall", "extend"}});
  EXPECT_THAT(async, HasSubstr("late has no effect in mode = \"async\""));
  EXPECT_THAT(async, HasSubstr("on_stall = \"extend\" has no effect in mode = \"async\""));
}

TEST(FusionConfig, TakesTheSameSettingsWhereTheyHaveOne) {
  const Json guests = {{{"id", "x"}, {"external", true}}};
  EXPECT_EQ(refusal({{"op", "median"}, {"weights", "uniform"}}), "taken")
      << "it says that the weights of contributors do not count";
  EXPECT_EQ(refusal({{"on_stall", "extend"}, {"deadline_s", 60}}), "taken");
  EXPECT_EQ(refusal({{"contributor", guests}, {"fixed", {{"width", 8}}}, {"probe", {"p"}}}),
            "taken")
      << "the settings say which model is evaluated on the probe";
  EXPECT_EQ(refusal({{"mode", "async"}, {"on_stall", "fuse_anyway"}}), "taken");
}

TEST(FusionConfig, OfAFusionThatWasBegunKeepsSettingsWithoutEffect) {
  Config config = parse_config(table(), "first.toml").value();
  config.mode = Mode::async;
  config.late = Late::next;

  ASSERT_FALSE(parse_config(to_json(config), "fusion.json"));
  EXPECT_EQ(stored_config(to_json(config), "fusion.json")->late, Late::next);
}

TEST(FusionConfig, LeavesTheKeysOfExperimentsAlone) {
  EXPECT_EQ(refusal({{"evaluate", Json::object()}, {"arm", Json::array()}}), "taken");
}

TEST(Quorum, IsRoundedUpAndNeverNone) {
  Config config;
  config.quorum = 0.5;
  EXPECT_EQ(config.least(1), 1);
  EXPECT_EQ(config.least(4), 2);
  EXPECT_EQ(config.least(5), 3);
  config.quorum = 0.7;
  EXPECT_EQ(config.least(10), 7) << "0.7 times 10 is 7, whatever doubles make of it";
  config.quorum = 1;
  EXPECT_EQ(config.least(3), 3);
}

TEST(Sample, IsWithoutReplacementAndDependsOnSeedAndRoundAlone) {
  Config config = parse_config(table({{"contributors_per_round", 2}}), "first.toml").value();
  std::set<std::vector<std::size_t>> seen;
  std::vector<int> times(3);
  for (std::int64_t round = 1; round <= 300; ++round) {
    const std::vector<std::size_t> places = chosen(config, round);
    ASSERT_EQ(places.size(), 2U);
    ASSERT_LT(places[0], places[1]);
    ASSERT_EQ(chosen(config, round), places);
    seen.insert(places);
    for (const std::size_t place : places) ++times[place];
  }

  EXPECT_EQ(seen.size(), 3U) << "all three pairs";
  for (const int count : times) EXPECT_NEAR(count, 200, 40);  // 5 standard deviations
}

}  // namespace
}  // namespace ration::fuse
