// Which run starts when there is room: threads and GPUs, shares of several sweeps, large runs among
// small ones.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scheduler/machine.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr double kGiB = 1024.0 * 1024 * 1024;

Need threads(int count) { return {.threads = count}; }
Need gpu() { return {.gpus = 1}; }
Need gpu_share(double share) { return {.gpus = 1, .gpu_share = share}; }
Need gpu_memory(double gib) { return {.gpus = 1, .gpu_bytes = gib * kGiB}; }

Capacity two_gpus(double gib = 80) {
  return {.gpus = {{.uuid = "GPU-a", .bytes = gib * kGiB}, {.uuid = "GPU-b", .bytes = gib * kGiB}}};
}

// Runs of given needs, and the events that a test tells.
class Room {
 public:
  Room(Capacity capacity, const std::vector<Need>& needs) {
    state.policy.slots = 1000;
    state.room = Occupancy(std::move(capacity));
    for (const Need& need : needs) add(need);
    begin();
  }
  std::size_t add(const Need& need, std::size_t sweep = 0) {
    RunNode node;
    node.id = fmt::format("{:032x}", state.nodes.size());
    node.need = need;
    node.sweep = sweep;
    state.nodes.push_back(node);
    return state.nodes.size() - 1;
  }
  // As after a restart; not an event.
  void begin() { state = prepare(std::move(state), now); }
  // Runs that an event starts.
  std::vector<std::size_t> tick(double seconds = 0) {
    now += seconds;
    return play({.kind = EventKind::tick});
  }
  std::vector<std::size_t> end(std::size_t node, const Ending& ending = {}) {
    return play({.kind = EventKind::ended, .node = node, .ending = ending});
  }
  const std::vector<std::string>& gpus(std::size_t node) const { return state.nodes[node].gpus; }
  int active_of(std::size_t sweep) const {
    int count = 0;
    for (const RunNode& node : state.nodes)
      count += node.sweep == sweep && node.state == RunState::active ? 1 : 0;
    return count;
  }

  State state;
  std::vector<Action> actions;
  double now = 0;

 private:
  std::vector<std::size_t> play(const MachineEvent& event) {
    Step step = transition(std::move(state), event, now);
    state = std::move(step.state);
    actions = std::move(step.actions);
    std::vector<std::size_t> launched;
    for (const Action& action : actions)
      if (action.kind == ActionKind::launch) launched.push_back(action.node);
    return launched;
  }
};

TEST(Room, RunsTakeAThreadEachUntilThereIsNone) {
  Room room({.threads = 4}, {threads(2), threads(1), threads(2), threads(1)});

  EXPECT_THAT(room.tick(), ElementsAre(0, 1, 3)) << "the third has no room, the fourth has";
  EXPECT_THAT(room.end(0), ElementsAre(2));
}

TEST(Room, ARunThatAsksForMoreThreadsThanThereAreHasThemAll) {
  Room room({.threads = 4}, {threads(16), threads(1)});

  EXPECT_THAT(room.tick(), ElementsAre(0));
  EXPECT_THAT(room.end(0), ElementsAre(1));
}

TEST(Room, RunsWithoutAWordHaveAGpuEach) {
  Room room(two_gpus(), {gpu(), gpu(), gpu()});

  EXPECT_THAT(room.tick(), ElementsAre(0, 1));
  EXPECT_THAT(room.gpus(0), ElementsAre("GPU-a"));
  EXPECT_THAT(room.gpus(1), ElementsAre("GPU-b"));
  EXPECT_THAT(room.end(0), ElementsAre(2));
  EXPECT_THAT(room.gpus(2), ElementsAre("GPU-a"));
}

TEST(Room, PartsFillOneGpuBeforeTheNext) {
  Room room(two_gpus(), {gpu_share(0.25), gpu_share(0.25), gpu_share(0.5), gpu(), gpu_share(0.1)});

  EXPECT_THAT(room.tick(), ElementsAre(3, 2, 0, 1)) << "the largest first, as in packing boxes";
  for (const std::size_t run : {0, 1, 2}) EXPECT_THAT(room.gpus(run), ElementsAre("GPU-b"));
}

TEST(Room, ATenthOfAGpusMemoryStaysInReserve) {
  Room room({.gpus = {{.uuid = "GPU-a", .bytes = 80 * kGiB}}},
            {gpu_memory(24), gpu_memory(24), gpu_memory(24), gpu_memory(8)});

  EXPECT_THAT(room.tick(), ElementsAre(0, 1, 2)) << "72 of 80 GiB";
}

TEST(Room, ThreeThirdsAreAWhole) {
  Room room({.gpus = {{.uuid = "GPU-a"}}}, std::vector<Need>(3, gpu_share(1.0 / 3)));

  EXPECT_THAT(room.tick(), SizeIs(3));
}

TEST(Room, ARunLargerThanAnyGpuIsInvalidAndSaysWhatItAsksFor) {
  Room room(two_gpus(40), {gpu_memory(60), gpu_memory(10)});

  EXPECT_THAT(room.tick(), ElementsAre(1));
  EXPECT_EQ(room.state.nodes[0].state, RunState::invalid);
  EXPECT_THAT(room.actions[0].text, HasSubstr("64.4 GB of a GPU's memory"));
  room.end(1);
  EXPECT_TRUE(finished(room.state));
}

TEST(Room, ARunThatGoesOutOfMemoryBesideOthersHasAGpuToItselfOnceAtNoCost) {
  Room room({.gpus = {{.uuid = "GPU-a", .bytes = 80 * kGiB}}}, {gpu_memory(30), gpu_memory(30)});
  room.tick();

  EXPECT_THAT(room.end(0, {.failure = FailureClass::out_of_memory}), IsEmpty())
      << "the other one is there";
  EXPECT_EQ(halvings(room.state.nodes[0]), 0);
  EXPECT_THAT(room.end(1), ElementsAre(0));

  room.end(0, {.failure = FailureClass::out_of_memory});
  EXPECT_EQ(halvings(room.state.nodes[0]), 1) << "alone it counts";
  EXPECT_EQ(room.state.nodes[0].state, RunState::active);
  room.end(0, {.failure = FailureClass::out_of_memory});
  EXPECT_EQ(room.state.nodes[0].state, RunState::failed);
}

TEST(Room, ARestartKnowsWhichGpusAreTaken) {
  Room room(two_gpus(), {gpu(), gpu_share(0.5), gpu_share(0.75)});
  room.tick();
  const std::vector<double> taken = room.state.room.shares();

  room.begin();

  EXPECT_EQ(room.state.room.shares(), taken);
}

// Two sweeps with many runs of one thread each.
Room two_sweeps(double weight) {
  Room room({.threads = 8}, {});
  room.state.sweeps = {{.weight = 1}, {.weight = weight}};
  for (int i = 0; i < 4000; ++i) room.add(threads(1), static_cast<std::size_t>(i) / 2000);
  room.begin();
  return room;
}

TEST(Room, SweepsShareByTheirWeightsFromTheFirstMoment) {
  Room room = two_sweeps(3);

  room.tick();

  EXPECT_EQ(room.active_of(0), 2);
  EXPECT_EQ(room.active_of(1), 6);
}

TEST(Room, SweepsGetTheirPartOfTheTimeWhateverTheirRunsTake) {
  Room room = two_sweeps(1);
  room.tick();
  // Runs of the second sweep are four times as long.
  std::vector<double> ends(room.state.nodes.size(), -1);
  const auto note_starts = [&](const std::vector<std::size_t>& started) {
    for (const std::size_t run : started) ends[run] = room.now + (run < 2000 ? 10 : 40);
  };
  for (std::size_t i = 0; i < room.state.nodes.size(); ++i)
    if (room.state.nodes[i].state == RunState::active) note_starts({i});
  for (int second = 0; second < 2000; ++second) {
    room.now += 1;
    for (std::size_t run = 0; run < ends.size(); ++run)
      if (ends[run] >= 0 && ends[run] <= room.now) {
        ends[run] = -1;
        note_starts(room.end(run));
      }
  }

  const double first = room.state.sweeps[0].used;
  const double second = room.state.sweeps[1].used;
  EXPECT_NEAR(first / second, 1, 0.02);
  EXPECT_NEAR(first + second, 2000, 20) << "all of the room, all the time";
}

TEST(Room, AmongEqualSweepsTheHigherPriorityStartsFirst) {
  Room room({.threads = 1}, {});
  room.state.sweeps.resize(2);
  room.add(threads(1), 0);
  room.state.nodes[room.add(threads(1), 1)].priority = 5;
  room.begin();

  EXPECT_THAT(room.tick(), ElementsAre(1));
}

TEST(Room, ALargeRunLetsSmallOnesPassForTenMinutesAndThenIsNext) {
  Room room({.threads = 4}, {});
  for (int i = 0; i < 4; ++i) room.add(threads(1));
  const std::size_t large = room.add(threads(4));
  for (int i = 0; i < 1000; ++i) room.add(threads(1));
  room.begin();
  std::vector<std::size_t> active = room.tick();
  // Small runs end one by one, so that there is never room for four threads by itself.
  double started = -1;
  while (started < 0 && room.now < 5000) {
    room.now += 20;
    const std::size_t oldest = active.front();
    active.erase(active.begin());
    for (const std::size_t run : room.end(oldest)) {
      active.push_back(run);
      if (run == large) started = room.now;
    }
    if (active.empty()) break;
  }

  EXPECT_GE(started, 600);
  EXPECT_LE(started, 600 + 5 * 20 + 20) << "the small ones that were active then end first";
}

}  // namespace
}  // namespace ration::scheduler
