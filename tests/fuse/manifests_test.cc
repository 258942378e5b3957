#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuse/folder.h"
#include "fuse/world.h"

namespace ration::fuse {
namespace {

using test::World;
using test::write_model;
using testing::HasSubstr;
using testing::SizeIs;

TEST(Manifest, ComesBackFromItsJson) {
  World world;
  world.failing = {"b"};
  const Summary summary = world.carried_out(world.config());

  const std::vector<RoundRecord> rounds = rounds_of(real_files(), world.folder()).value();

  ASSERT_THAT(rounds, SizeIs(2));
  EXPECT_EQ(to_json(rounds[1]).dump(), to_json(summary.rounds[1]).dump());
  EXPECT_THAT(round_from_json({{"schema", "x"}}, "f", "r.json").error().what,
              HasSubstr("r.json is no manifest"));
}

class Manifests : public testing::Test {
 protected:
  Manifests() { world_.carried_out(world_.config({{"rounds", 3}, {"momentum", 0.5}})); }

  Path file(std::int64_t round) const { return round_file(world_.folder(), round); }
  Json read(std::int64_t round) const {
    return parse_json(world_.files.read(file(round)).value(), "r").value();
  }
  void change(std::int64_t round, const Json& members) {
    Json json = read(round);
    json.update(members);
    ASSERT_TRUE(world_.files.write_whole(file(round), json.dump()));
  }
  // What every reader says.
  std::string refusal() {
    const Result<std::vector<RoundRecord>> rounds = rounds_of(world_.files, world_.folder());
    if (rounds) return "taken";
    EXPECT_EQ(rounds.error().kind, ErrorKind::input);
    EXPECT_FALSE(progress_of(world_.files, world_.folder()));
    EXPECT_FALSE(replay(world_.files, world_.folder(), 1));
    EXPECT_FALSE(world_.carry_out(world_.config({{"rounds", 4}, {"momentum", 0.5}})));
    return rounds.error().describe();
  }

  World world_;
};

TEST_F(Manifests, SayTheRoundOfTheirName) {
  ASSERT_EQ(refusal(), "taken");
  change(2, {{"round", 7}});
  EXPECT_THAT(refusal(), HasSubstr("round-00002.json is the manifest of round 7"));
}

TEST_F(Manifests, BeginWhereTheRoundBeforeEnded) {
  const std::string first = read(1).at("base"), second = read(1).at("next");
  change(2, {{"base", first}});
  EXPECT_THAT(refusal(),
              HasSubstr("round-00002.json begins with base " + first.substr(0, 12) +
                        ", but the round before it ended with " + second.substr(0, 12)));
}

TEST_F(Manifests, OfAnotherFusionAreNamed) {
  World other;
  other.start[0] += 1;
  write_model(other.scratch / "base.safetensors", other.start);
  other.carried_out(other.config({{"rounds", 1}, {"momentum", 0.5}}));
  ASSERT_TRUE(
      world_.files.write_whole(file(1), other.files.read(round_file(other.folder(), 1)).value()));
  EXPECT_THAT(refusal(), HasSubstr("round-00001.json begins with base"));
  EXPECT_THAT(refusal(), HasSubstr("but the fusion with"));
}

TEST_F(Manifests, KeepTheBaseWhereTheyFuseNothing) {
  change(3, {{"status", "empty"}});
  EXPECT_THAT(refusal(), HasSubstr("round-00003.json is empty, but its base changes"));
  change(3, {{"status", "open"}});
  EXPECT_THAT(refusal(), HasSubstr("round-00003.json is open, which no closed round is"));
}

TEST_F(Manifests, NameFilesThatAreThere) {
  const std::string base = read(2).at("base"), velocity = read(2).at("velocity");
  for (const auto& [folder, sha256] :
       {std::pair("bases", base), std::pair("velocities", velocity)}) {
    const Path gone = world_.folder() / folder / (sha256 + ".safetensors");
    const std::string bytes = world_.files.read(gone).value();
    ASSERT_TRUE(world_.files.remove_all(gone));
    EXPECT_THAT(refusal(), HasSubstr(sha256 + ".safetensors is gone, which "));
    ASSERT_TRUE(world_.files.write_whole(gone, bytes));
    ASSERT_EQ(refusal(), "taken");
  }
}

TEST_F(Manifests, ThatAreDamagedOrMissingAreNamed) {
  const std::string text = world_.files.read(file(2)).value();
  ASSERT_TRUE(world_.files.write_whole(file(2), text.substr(0, text.size() / 2)));
  EXPECT_THAT(refusal(), HasSubstr("round-00002.json"));
  ASSERT_TRUE(world_.files.remove_all(file(2)));
  EXPECT_THAT(refusal(), HasSubstr("round-00002.json is gone, and round-00003.json is there"));
}

}  // namespace
}  // namespace ration::fuse
