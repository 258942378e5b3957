// A fusion is killed at each of its writes, and the same call made again: the same bytes must come
// out, and nobody may train twice.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/unsynced_files.h"
#include "fuse/folder.h"
#include "fuse/world.h"
#include "support/failing_files.h"

namespace ration::fuse {
namespace {

using test::FailingFiles;
using test::World;

// What must not depend on kills: bases, velocities, altered contributions, manifests, journal.
std::map<std::string, std::string> lasting(const World& world) {
  std::map<std::string, std::string> files = world.files_of("test");
  std::erase_if(files, [](const auto& entry) { return entry.first.ends_with(".part"); });
  return files;
}

class EveryKill : public testing::TestWithParam<std::string> {};

TEST_P(EveryKill, LeavesAFusionThatEndsWithTheSameBytes) {
  const Json changes = *parse_json(GetParam(), "test");
  World undisturbed;
  undisturbed.carried_out(undisturbed.config(changes));
  const std::map<std::string, std::string> expected = lasting(undisturbed);
  const std::vector<std::string> trained = undisturbed.trained;

  int kill = 0;
  for (bool killed = true; killed; ++kill) {
    World world;
    const Config config = world.config(changes);
    FailingFiles dying(unsynced_files(), FailingFiles::Mode::killed, kill);
    const Result<Summary> first =
        carry_out(config, world.setup(), world.hands(), dying, world.clock, 1);
    killed = dying.failed();
    ASSERT_EQ(killed, !first) << kill;

    const Result<Summary> second = world.carry_out(config);

    ASSERT_TRUE(second) << kill << ": " << second.error().describe();
    ASSERT_EQ(lasting(world), expected) << kill;
    ASSERT_EQ(world.trained, trained) << kill;
  }
  EXPECT_GT(kill, 50);
}

INSTANTIATE_TEST_SUITE_P(
    Fusions,
    EveryKill,
    testing::Values(R"({"rounds":2})",
                    R"({"rounds":2,"op":"ties","eta":0.5,"momentum":0.9,"clip":true})",
                    R"({"rounds":2,"faults":{"a":"scale:3","b":"random"}})",
                    R"({"rounds":2,"mode":"async"})",
                    R"({"rounds":2,"probe":["p"],"screen":["norm","probe","leave_one_out"]})"));

TEST(KilledSubmission, IsThereOnceOrNotAtAll) {
  int kill = 0;
  for (bool killed = true; killed; ++kill) {
    World world;
    const Config config =
        world.config({{"rounds", 1}, {"contributor", {{{"id", "guest"}, {"external", true}}}}});
    const std::string base = world.carried_out(config).base;
    test::Numbers numbers = world.start;
    numbers[0] += 1;
    test::write_model(world.scratch / "m", numbers);
    const Submission submission{
        .contributor = "guest", .from = base, .model = world.scratch / "m", .tokens = 0};
    FailingFiles dying(unsynced_files(), FailingFiles::Mode::killed, kill);
    const Result<Submitted> sent = submit(dying, world.folder(), submission);
    killed = dying.failed();

    if (!sent) {
      ASSERT_TRUE(submit(unsynced_files(), world.folder(), submission)) << kill;
    }
    const Summary summary = world.carried_out(config);

    ASSERT_EQ(summary.rounds.size(), 1U) << kill;
    ASSERT_EQ(summary.rounds[0].contributions.size(), 1U) << kill;
    ASSERT_EQ(summary.rounds[0].contributions[0].verdict, Verdict::accepted) << kill;
  }
}

}  // namespace
}  // namespace ration::fuse
