// Thousands of random histories of a sweep, with every kind of fault, played against the state
// machine. A history that breaks a promise is shrunk and printed as one line that plays it again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "scheduler/simulation/shrink.h"

namespace ration::scheduler::simulation {
namespace {

using testing::HasSubstr;

TEST(Simulation, KeepsEveryPromiseInThreeHundredHistories) {
  const std::optional<Scenario> failing = first_failure(0, 300, 60);

  EXPECT_FALSE(failing) << complaint(*failing);
}

// RATION_SIMULATION="seed=17 runs=200": the line that a failure prints.
TEST(Simulation, PlaysTheHistoryThatIsAskedFor) {
  const char* asked = std::getenv("RATION_SIMULATION");
  const Result<Scenario> named = scenario(asked == nullptr ? "seed=1 runs=20" : asked);
  ASSERT_TRUE(named) << named.error().describe();

  const Played played = play(*named);

  EXPECT_EQ(played.violation, "") << "after " << played.at << " s";
}

TEST(Simulation, IsTheSameEachTime) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Played first = play({.seed = seed, .runs = 50});
    const Played again = play({.seed = seed, .runs = 50});

    EXPECT_EQ(first.events, again.events);
    EXPECT_EQ(first.at, again.at);
    EXPECT_EQ(first.met, again.met);
  }
}

TEST(Simulation, MeetsEveryKindOfFault) {
  std::set<DisturbanceKind> disturbances;
  std::set<FailureClass> failures;
  std::int64_t launched = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Scenario scenario{.seed = seed, .runs = 100};
    const Story story(scenario);
    const Played played = play(scenario);
    launched += played.launched;
    for (const Fault& fault : played.met) {
      if (fault.run < 0)
        disturbances.insert(story.disturbances()[static_cast<std::size_t>(fault.number)].kind);
      else
        failures.insert(story.fate(fault.run, fault.number, 0).failure);
    }
  }

  EXPECT_EQ(disturbances.size(), kDisturbances);
  EXPECT_EQ(failures.size(), store::kFailureClasses - 1)
      << "all but disk, which comes from outside";
  EXPECT_GT(launched, 40 * 100) << "there were retries";
}

TEST(Simulation, StopsRunsEarlyInManyHistories) {
  int histories = 0;
  std::int64_t stopped = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Played played = play({.seed = seed, .runs = 100});
    histories += played.stopped > 0 ? 1 : 0;
    stopped += played.stopped;
  }

  EXPECT_GE(histories, 10);
  EXPECT_GE(stopped, 200);
}

TEST(Simulation, NamesAreReadAsTheyAreWritten) {
  const Scenario written{.seed = 17, .runs = 25, .only = std::set<Fault>{{-1, 3}, {12, 1}}};

  EXPECT_EQ(name(written), "seed=17 runs=25 faults=d3,a12.1");
  EXPECT_EQ(name(scenario(name(written)).value()), name(written));
  EXPECT_EQ(name(scenario("seed=1 runs=2").value()), "seed=1 runs=2");
  EXPECT_FALSE(scenario("seed=1 runs=2 faults=d"));
  EXPECT_FALSE(scenario("seed=1"));
}

// ---- Machines with a mistake --------------------------------------------------------------------

// Finds and shrinks what a mistaken machine does wrong.
std::string found_in(const Machine& mistaken) {
  const std::optional<Scenario> failing = first_failure(0, 50, 60, mistaken);
  if (!failing) return "nothing";
  EXPECT_LE(failing->only->size(), 12U) << name(*failing) << " could be smaller";
  return complaint(*failing, mistaken);
}

TEST(Simulation, FindsAMachineThatForgetsFailures) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                if (event.kind == EventKind::ended) state.nodes[event.node].failures = {};
                return transition(std::move(state), event, now);
              }),
              HasSubstr("although its tries are used up"));
}

TEST(Simulation, FindsAMachineThatStartsOneRunTooMany) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                ++state.policy.slots;
                Step step = transition(std::move(state), event, now);
                --step.state.policy.slots;
                return step;
              }),
              HasSubstr("runs are active"));
}

TEST(Simulation, FindsAMachineThatStartsARunWhoseEndCameTwice) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                RunNode& node = state.nodes[event.node];
                const bool again = event.kind == EventKind::ended && node.state == RunState::done;
                if (again) {
                  node.state = RunState::ready;
                  state = prepare(std::move(state), now);
                }
                return transition(std::move(state), event, now);
              }),
              HasSubstr("although it has a result"));
}

TEST(Simulation, FindsAMachineThatGoesBackToAFailedMachine) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                Step step = transition(std::move(state), event, now);
                for (RunNode& node : step.state.nodes) node.avoid.clear();
                return step;
              }),
              HasSubstr("without keeping away"));
}

TEST(Simulation, FindsAMachineThatOpensAGateTooSoon) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                for (auto& [node, gate] : state.gates) gate.quorum = 1;
                return transition(std::move(state), event, now);
              }),
              HasSubstr("that it needs"));
}

TEST(Simulation, FindsAMachineThatStopsTheBest) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                Step step = transition(std::move(state), event, now);
                if (event.kind != EventKind::evaluated) return step;
                RunNode& node = step.state.nodes[event.node];
                if (node.state != RunState::active || !node.stopped_by.empty()) return step;
                node.stopped_by = "stopped early";
                step.actions.push_back({.kind = ActionKind::decide, .node = event.node});
                step.actions.push_back({.kind = ActionKind::stop, .node = event.node});
                return step;
              }),
              HasSubstr("is stopped early although"));
}

TEST(Simulation, FindsAMachineThatStopsNobody) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                if (event.kind == EventKind::evaluated) return Step{.state = std::move(state)};
                return transition(std::move(state), event, now);
              }),
              HasSubstr("goes on although it is number"));
}

TEST(Simulation, FindsAMachineThatStartsAStoppedRunAgain) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                Step step = transition(std::move(state), event, now);
                RunNode& node = step.state.nodes[event.node];
                if (event.kind != EventKind::ended || node.state != RunState::stopped) return step;
                node.state = RunState::ready;
                step.state = prepare(std::move(step.state), now);
                return step;
              }),
              HasSubstr("although it was stopped early"));
}

TEST(Simulation, FindsAMachineThatForgetsADeadline) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                for (auto& [node, gate] : state.gates) gate.deadline = 0;
                return transition(std::move(state), event, now);
              }),
              HasSubstr("although more may come"));
}

TEST(Simulation, FindsAMachineThatForgetsWhatWasUsed) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                state.used = {};
                return transition(std::move(state), event, now);
              }),
              HasSubstr("although the budget is used up"));
}

TEST(Simulation, FindsAMachineThatLosesAWaitingRun) {
  EXPECT_THAT(found_in([](State state, const MachineEvent& event, double now) {
                Step step = transition(std::move(state), event, now);
                if (event.kind == EventKind::ended && event.node % 7 == 3)
                  step.state.waiting.erase({step.state.nodes[event.node].not_before, event.node});
                return step;
              }),
              testing::AnyOf(HasSubstr("never comes"),
                             HasSubstr("not those of its runs"),
                             HasSubstr("does not come to an end")));
}

}  // namespace
}  // namespace ration::scheduler::simulation
