// The state machine alone: histories are played, no file, clock or process is touched.

#include "scheduler/machine.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "scheduler/graph.h"
#include "scheduler/play.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using enum FailureClass;

TEST(Machine, StartsAsManyRunsAsThereAreSlotsInTheirOrder) {
  Play sweep(5, slots(3));

  sweep.tick();

  EXPECT_THAT(sweep.launched(), ElementsAre(0, 1, 2));
}

TEST(Machine, StartsTheNextRunWhenOneEnds) {
  Play sweep(3, slots(2));
  sweep.tick();

  sweep.end(1);

  EXPECT_EQ(sweep.run(1), RunState::done);
  EXPECT_THAT(sweep.launched(), ElementsAre(2));
}

TEST(Machine, IsFinishedWhenEveryRunHasAResult) {
  Play sweep(2, slots(2));
  sweep.tick();
  sweep.end(0);
  EXPECT_FALSE(finished(sweep.state));

  sweep.end(1, diverged);

  EXPECT_EQ(sweep.run(1), RunState::diverged);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, IgnoresASecondEndOfTheSameAttempt) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0);

  sweep.end(0, killed);

  EXPECT_EQ(sweep.run(0), RunState::done);
  EXPECT_THAT(sweep.actions, IsEmpty());
}

TEST(Machine, GivesAKilledRunTwoMoreTries) {
  Play sweep(1);
  sweep.tick();
  for (int retry = 0; retry < 2; ++retry) {
    sweep.end(0, killed);
    EXPECT_EQ(sweep.run(0), RunState::ready);
    EXPECT_THAT(sweep.launched(), IsEmpty()) << "a retry waits first";
    sweep.wait(kLong);
    EXPECT_THAT(sweep.launched(), ElementsAre(0));
  }

  sweep.end(0, killed);

  EXPECT_EQ(sweep.run(0), RunState::failed);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, GivesAnUnexplainedFailureOneMoreTry) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0, bug);
  sweep.wait(kLong);

  sweep.end(0, bug);

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, CountsRetriesOfEachClassForItself) {
  Play sweep(1);
  sweep.tick();
  for (const FailureClass failure : {killed, bug, killed}) {
    sweep.end(0, failure);
    sweep.wait(kLong);
  }

  EXPECT_EQ(sweep.run(0), RunState::active);
}

TEST(Machine, StartsARetryOnceItsWaitIsOver) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0, killed);
  const double start = next_start(sweep.state);
  EXPECT_GE(start, 7.5);
  EXPECT_LE(start, 12.5);

  sweep.wait(start - 0.001);
  EXPECT_THAT(sweep.launched(), IsEmpty());
  sweep.wait(0.002);
  EXPECT_THAT(sweep.launched(), ElementsAre(0));
}

TEST(Machine, StartsOtherRunsWhileOneWaits) {
  Play sweep(2);
  sweep.tick();

  sweep.end(0, killed);

  EXPECT_THAT(sweep.launched(), ElementsAre(1));
}

TEST(Machine, NeverRepeatsUnusableSettingsOrData) {
  for (const FailureClass failure : {config, data}) {
    Play sweep(1);
    sweep.tick();

    sweep.end(0, failure);

    EXPECT_EQ(sweep.run(0), RunState::invalid);
    EXPECT_TRUE(finished(sweep.state));
  }
}

TEST(Machine, HalvesTheMicroBatchOnceWhenMemoryRunsOut) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0, out_of_memory);
  EXPECT_THAT(sweep.launched(), ElementsAre(0)) << "at once: waiting frees nothing";
  EXPECT_EQ(halvings(sweep.state.nodes[0]), 1);

  sweep.end(0, out_of_memory);

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, ContinuesAPreemptedOrTimedOutRunForEverWhileItProgresses) {
  for (const FailureClass failure : {preempted, timeout}) {
    Play sweep(1);
    sweep.tick();
    for (int i = 0; i < 50; ++i) {
      sweep.end(0, {.failure = failure, .progressed = true});
      ASSERT_THAT(sweep.launched(), ElementsAre(0));
    }
  }
}

TEST(Machine, GivesUpOnARunThatReachesItsTimeLimitWithoutProgress) {
  Play sweep(1);
  sweep.tick();
  for (int i = 0; i < 2; ++i) {
    sweep.end(0, timeout);
    sweep.wait(kLong);
    ASSERT_THAT(sweep.launched(), ElementsAre(0));
  }

  sweep.end(0, timeout);

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, ForgetsFruitlessTimeLimitsOnceARunProgresses) {
  Play sweep(1);
  sweep.tick();
  for (int i = 0; i < 10; ++i) {
    sweep.end(0, {.failure = timeout, .progressed = i % 2 == 1});
    sweep.wait(kLong);
  }

  EXPECT_EQ(sweep.run(0), RunState::active);
}

TEST(Machine, AsksForHalfAsMuchMemoryAgainTwice) {
  Play sweep(1);
  sweep.tick();
  std::vector<double> factors = {memory_factor(sweep.state.nodes[0])};
  for (int i = 0; i < 2; ++i) {
    sweep.end(0, oom_host);
    sweep.wait(kLong);
    ASSERT_THAT(sweep.launched(), ElementsAre(0));
    factors.push_back(memory_factor(sweep.state.nodes[0]));
  }
  EXPECT_THAT(factors, ElementsAre(1, 1.5, 2.25));
  EXPECT_EQ(halvings(sweep.state.nodes[0]), 0) << "the micro batch is of the GPU's memory";

  sweep.end(0, oom_host);

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, AvoidsEachMachineThatFailedUnderARunAndGivesUpAtTheFourth) {
  Play sweep(1);
  sweep.tick();
  for (const char* host : {"n1", "n2", "n2"}) {
    sweep.end(0, {.failure = node_failure, .host = host});
    sweep.wait(kLong);
    ASSERT_THAT(sweep.launched(), ElementsAre(0));
  }
  EXPECT_THAT(sweep.state.nodes[0].avoid, ElementsAre("n1", "n2"));

  sweep.end(0, {.failure = node_failure, .host = "n3"});

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, CallsARunInvalidThatFailsTwiceBeforeItsFirstStep) {
  Policy policy;
  policy.retries_bug = 5;
  Play sweep(1, policy);
  sweep.tick();
  sweep.end(0, {.failure = bug, .at_start = true});
  sweep.wait(kLong);

  sweep.end(0, {.failure = bug, .at_start = true});

  EXPECT_EQ(sweep.run(0), RunState::invalid);
}

TEST(Machine, LetsAPreemptedRunWithoutProgressWaitLongerEachTime) {
  Play sweep(1);
  sweep.tick();
  double last = 0;
  for (int i = 0; i < 4; ++i) {
    sweep.end(0, preempted);
    const double wait = next_start(sweep.state) - sweep.now;
    EXPECT_GT(wait, last);
    last = wait;
    sweep.wait(wait + 1e-6);
    ASSERT_THAT(sweep.launched(), ElementsAre(0));
  }
}

TEST(Machine, ChargesNothingForAnAttemptThatNeverStarted) {
  Play sweep(1);
  sweep.tick();

  sweep.end(0, {.never_started = true});

  EXPECT_THAT(sweep.launched(), ElementsAre(0));
  EXPECT_TRUE(sweep.state.recent.empty());
  sweep.end(0);
  EXPECT_EQ(sweep.run(0), RunState::done);
}

TEST(Machine, GivesUpOnARunThatCannotBeStartedSixTimesInARow) {
  Play sweep(1);
  sweep.tick();
  for (int i = 0; i < 5; ++i) {
    sweep.end(0, {.never_started = true});
    sweep.wait(kLong);
    ASSERT_EQ(sweep.run(0), RunState::active) << i;
  }

  sweep.end(0, {.never_started = true});

  EXPECT_EQ(sweep.run(0), RunState::failed);
}

TEST(Machine, StopsWhenAttemptsOfSeveralRunsNeverBeginTwiceInARow) {
  Play sweep(8, slots(8));
  sweep.tick();
  for (std::size_t i = 0; i < 8; ++i) sweep.end(i, {.never_started = true});
  ASSERT_EQ(sweep.state.mode, Mode::running) << "a scheduler that was killed leaves such attempts";

  for (std::size_t i = 0; i < 8; ++i) sweep.end(i, {.never_started = true});
  ASSERT_EQ(sweep.state.mode, Mode::running) << "fewer than ten endings tell nothing yet";
  sweep.wait(kLong);
  for (std::size_t i = 0; i < 2; ++i) sweep.end(i, {.never_started = true});

  EXPECT_EQ(sweep.state.cause, StopCause::alike);
}

TEST(Machine, CountsARunThatCannotBeStartedAsAFailure) {
  Policy policy = slots(1);
  policy.max_failures = 1;
  Play sweep(1, policy);
  sweep.tick();
  for (int i = 0; i < 6; ++i) {
    sweep.end(0, {.never_started = true, .detail = "no licence server"});
    sweep.wait(kLong);
  }

  EXPECT_EQ(sweep.run(0), RunState::failed);
  EXPECT_EQ(sweep.state.cause, StopCause::failures);
}

TEST(Machine, AfterAnInterruptWaitsForRunsThatItOnlyFollows) {
  Play sweep(2, slots(2));
  sweep.state.nodes[0].wanted = false;
  sweep.state.nodes[0].state = RunState::active;
  sweep.state = prepare(std::move(sweep.state), 0);
  sweep.tick();
  sweep.interrupt();

  sweep.end(1, preempted);
  EXPECT_FALSE(finished(sweep.state));

  sweep.end(0, preempted);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, StartsNothingMoreWhenTheDiskIsFull) {
  Play sweep(3, slots(2));
  sweep.tick();

  sweep.end(0, disk);

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.state.cause, StopCause::disk);
  EXPECT_EQ(sweep.run(0), RunState::ready) << "the next command continues it";
  EXPECT_FALSE(finished(sweep.state)) << "the other run goes on";
  sweep.end(1);
  EXPECT_EQ(sweep.run(1), RunState::done);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, StopsWhenTheFirstThreeRunsAreAllUnusable) {
  Play sweep(5);
  sweep.tick();
  for (std::size_t i = 0; i < 3; ++i) sweep.end(i, config);

  EXPECT_EQ(sweep.state.cause, StopCause::alike);
  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.run(3), RunState::ready);
}

TEST(Machine, GoesOnWhenOneOfTheFirstThreeRunsWorked) {
  Play sweep(5);
  sweep.tick();
  sweep.end(0);
  for (std::size_t i = 1; i < 4; ++i) sweep.end(i, config);

  EXPECT_THAT(sweep.launched(), ElementsAre(4));
}

// A slot each, so that retries, which wait, do not mix in.
Play sweep_of_failures(FailureClass failure, bool progressed = false, std::size_t good = 1) {
  Play sweep(20, slots(20));
  sweep.tick();
  for (std::size_t i = 0; i < 10; ++i) {
    if (sweep.state.mode == Mode::running)
      sweep.end(i, {.failure = i % 3 == good ? none : failure, .progressed = progressed});
  }
  return sweep;
}

TEST(Machine, StopsWhenMostOfTheLastTenAttemptsFailAlike) {
  for (const FailureClass failure :
       {bug, killed, out_of_memory, oom_host, node_failure, timeout, fenced}) {
    const Play sweep = sweep_of_failures(failure);

    EXPECT_EQ(sweep.state.cause, StopCause::alike) << store::name(failure);
    EXPECT_THAT(sweep.actions.back().text, testing::HasSubstr(store::name(failure)));
  }
}

TEST(Machine, GoesOnWhenTheLastAttemptWentWellAgain) {
  EXPECT_EQ(sweep_of_failures(killed, false, 0).state.mode, Mode::running);
}

TEST(Machine, GoesOnWhenAttemptsEndAlikeForNoFaultOfTheirs) {
  EXPECT_EQ(sweep_of_failures(preempted).state.mode, Mode::running);
  EXPECT_EQ(sweep_of_failures(diverged).state.mode, Mode::running);
  EXPECT_EQ(sweep_of_failures(timeout, true).state.mode, Mode::running);
}

TEST(Machine, GoesOnWhenAttemptsFailForDifferentReasons) {
  Play sweep(20, slots(20));
  sweep.tick();

  for (std::size_t i = 0; i < 20; ++i) sweep.end(i, i % 2 == 0 ? bug : killed);

  EXPECT_EQ(sweep.state.mode, Mode::running);
}

TEST(Machine, KeepsGoingWhenToldSo) {
  Policy policy;
  policy.retries_bug = 0;
  policy.keep_going = true;
  Play sweep(30, policy);
  sweep.tick();
  for (std::size_t i = 0; i < 30; ++i) sweep.end(i, i < 5 ? config : bug);

  EXPECT_EQ(sweep.state.mode, Mode::running);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, StopsAfterAsManyFailuresAsWereAllowed) {
  Policy policy;
  policy.max_failures = 2;
  policy.retries_bug = 0;
  Play sweep(5, policy);
  sweep.tick();
  sweep.end(0, bug);
  EXPECT_THAT(sweep.launched(), ElementsAre(1));

  sweep.end(1, config);

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.state.cause, StopCause::failures);
}

TEST(Machine, AsksEveryActiveRunToStopWhenInterrupted) {
  Play sweep(5, slots(2));
  sweep.tick();

  sweep.interrupt();
  EXPECT_THAT(sweep.stopped(), ElementsAre(0, 1));
  sweep.end(0, {.failure = preempted, .progressed = true});
  EXPECT_THAT(sweep.launched(), IsEmpty());
  sweep.end(1);

  EXPECT_TRUE(finished(sweep.state));
  EXPECT_EQ(sweep.state.cause, StopCause::interrupt);
  EXPECT_EQ(sweep.run(0), RunState::ready);
}

TEST(Machine, CancelsAWaitingRunAtOnce) {
  Play sweep(2);
  sweep.tick();

  sweep.cancel(1);
  sweep.end(0);

  EXPECT_EQ(sweep.run(1), RunState::cancelled);
  EXPECT_TRUE(finished(sweep.state));
}

TEST(Machine, CancelsAnActiveRunWhenItsWorkerHasLeft) {
  Play sweep(1);
  sweep.tick();
  sweep.cancel(0);
  EXPECT_THAT(sweep.stopped(), ElementsAre(0));
  EXPECT_EQ(sweep.run(0), RunState::active);
  sweep.cancel(0);
  EXPECT_THAT(sweep.stopped(), IsEmpty()) << "asked already";

  sweep.end(0, {.failure = preempted, .progressed = true});

  EXPECT_EQ(sweep.run(0), RunState::cancelled);
}

TEST(Machine, KeepsAResultThatArrivedDespiteACancel) {
  Play sweep(1);
  sweep.tick();
  sweep.cancel(0);

  sweep.end(0);

  EXPECT_EQ(sweep.run(0), RunState::done);
  sweep.cancel(0);
  EXPECT_EQ(sweep.run(0), RunState::done);
}

TEST(Machine, GivesARetriedRunAllItsTriesAgain) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0, bug);
  sweep.wait(kLong);
  sweep.end(0, bug);
  ASSERT_EQ(sweep.run(0), RunState::failed);

  sweep.retry(0);
  EXPECT_THAT(sweep.launched(), ElementsAre(0));
  sweep.end(0, bug);

  EXPECT_EQ(sweep.run(0), RunState::ready);
}

TEST(Machine, NeverStartsAFinishedRunAgain) {
  Play sweep(1);
  sweep.tick();
  sweep.end(0);

  sweep.retry(0);

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.run(0), RunState::done);
}

TEST(Machine, FollowsARunThatNobodyWantsWithoutStartingItAgain) {
  Play sweep(1);
  sweep.state.nodes[0].state = RunState::active;
  sweep.state.nodes[0].wanted = false;
  sweep.state = prepare(std::move(sweep.state), 0);

  sweep.end(0, {.failure = preempted, .progressed = true});

  EXPECT_THAT(sweep.launched(), IsEmpty());
  EXPECT_EQ(sweep.run(0), RunState::ready);
}

TEST(Backoff, DoublesAndVariesByAQuarterUpToTenMinutes) {
  const Policy policy;
  for (int retry = 0; retry < 40; ++retry) {
    const double plain = std::min(600.0, 10.0 * std::exp2(retry));
    const double wait = backoff(policy, "a", retry);
    EXPECT_GE(wait, 0.75 * plain);
    EXPECT_LE(wait, 1.25 * plain);
    EXPECT_EQ(wait, backoff(policy, "a", retry)) << "the same in every replay";
  }
  EXPECT_NE(backoff(policy, "a", 0), backoff(policy, "b", 0));
}

// ---- Random histories ---------------------------------------------------------------------------

// One history: what a world without mercy could send, checked after each event.
class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed)
      : random_(seed, StreamId::starts), sweep_(1 + below(8), policy()) {
    sweep_.tick();
    check();
  }

  void play(int events) {
    for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
      if (random_.uniform() < 0.3) sweep_.now += 300 * random_.uniform();
      happen();
      check();
    }
  }

  // From now on nothing goes wrong any more.
  void finish() {
    while (!finished(sweep_.state) && !testing::Test::HasFailure()) {
      const std::vector<std::size_t> active = in(RunState::active);
      if (!active.empty())
        sweep_.end(active.front());
      else
        sweep_.wait(next_start(sweep_.state) - sweep_.now + 1e-6);
      check();
    }
    if (sweep_.state.mode == Mode::running) {
      EXPECT_THAT(in(RunState::ready), IsEmpty());
    }
  }

 private:
  std::size_t below(std::size_t n) {
    return std::min(n - 1, static_cast<std::size_t>(random_.uniform() * static_cast<double>(n)));
  }

  Policy policy() {
    Policy policy;
    policy.slots = static_cast<int>(1 + below(4));
    policy.max_failures = random_.uniform() < 0.2 ? 3 : 0;
    policy.keep_going = random_.uniform() < 0.5;
    return policy;
  }

  std::vector<std::size_t> in(RunState state) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < sweep_.state.nodes.size(); ++i)
      if (sweep_.run(i) == state) found.push_back(i);
    return found;
  }

  void happen() {
    const std::size_t any = below(sweep_.state.nodes.size());
    const double dice = random_.uniform();
    if (dice < 0.05) return sweep_.cancel(any);
    if (dice < 0.10) return sweep_.retry(any);
    if (dice < 0.102) return sweep_.interrupt();
    if (dice < 0.3) return sweep_.tick();
    Ending ending;
    ending.failure = static_cast<FailureClass>(below(store::kFailureClasses));
    ending.progressed = random_.uniform() < 0.5;
    ending.at_start = random_.uniform() < 0.3;
    ending.never_started = random_.uniform() < 0.1;
    if (ending.failure == disk && random_.uniform() < 0.9) ending.failure = killed;
    sweep_.end(any, ending);
  }

  void check() {
    const State& state = sweep_.state;
    const std::vector<std::size_t> active = in(RunState::active);
    EXPECT_EQ(active.size(), static_cast<std::size_t>(state.active));
    EXPECT_LE(state.active, state.policy.slots);
    for (const std::size_t node : sweep_.launched()) {
      EXPECT_FALSE(finished_.contains(node)) << "run " << node << " has a result";
      EXPECT_LE(state.nodes[node].not_before, sweep_.now);
      EXPECT_EQ(state.mode, Mode::running);
    }
    for (const std::size_t node : finished_)
      EXPECT_TRUE(sweep_.run(node) == RunState::done || sweep_.run(node) == RunState::diverged);
    for (const RunState result : {RunState::done, RunState::diverged})
      for (const std::size_t node : in(result)) finished_.insert(node);
    const State again = prepare(state, sweep_.now);
    EXPECT_EQ(again.ready, state.ready);
    EXPECT_EQ(again.waiting, state.waiting);
    EXPECT_EQ(again.active, state.active);
    EXPECT_EQ(again.active_wanted, state.active_wanted);
    if (state.mode == Mode::running && state.active < state.policy.slots) {
      EXPECT_THAT(state.ready, IsEmpty()) << "a slot is free and a run could start";
    }
  }

  Stream random_;
  Play sweep_;
  std::set<std::size_t> finished_;
};

TEST(Machine, KeepsItsPromisesInAnyHistory) {
  for (std::uint64_t seed = 0; seed < 500 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomHistory history(seed);
    history.play(200);
    history.finish();
  }
}

// A sweep whose run 1 begins with a checkpoint of run 0.
Play trunk_and_branch() {
  Play sweep(2, slots(2));
  Gate gate;
  gate.parents = {{.node = 0, .wants = Wants::checkpoint, .step = 40}};
  EXPECT_TRUE(connect(sweep.state, {{1, gate}}));
  sweep.state = prepare(std::move(sweep.state), sweep.now);
  return sweep;
}

TEST(Machine, StartsABranchWhenItsCheckpointIsThereAlsoBesideItsTrunk) {
  Play sweep = trunk_and_branch();
  sweep.tick();
  EXPECT_THAT(sweep.launched(), ElementsAre(0));

  sweep.unblock(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(1));
}

TEST(Machine, IsNotFinishedWhileABranchWaitsForItsCheckpoint) {
  Play sweep = trunk_and_branch();
  sweep.tick();

  sweep.end(0);
  EXPECT_FALSE(finished(sweep.state));
  sweep.forsake(1, "its trunk kept no checkpoint");

  EXPECT_TRUE(finished(sweep.state));
  EXPECT_EQ(sweep.run(1), RunState::skipped);
  EXPECT_EQ(sweep.state.failures, 0) << "it did not fail itself";
}

TEST(Machine, AsksForTheCheckpointAgainAfterARetryOfTheBranch) {
  Play sweep = trunk_and_branch();
  sweep.tick();
  sweep.forsake(1, "its trunk failed");

  sweep.retry(1);
  EXPECT_THAT(sweep.launched(), IsEmpty());
  sweep.unblock(1);

  EXPECT_THAT(sweep.launched(), ElementsAre(1));
}

TEST(Machine, ForgetsABranchThatIsCancelledWhileItWaits) {
  Play sweep = trunk_and_branch();
  sweep.tick();

  sweep.cancel(1);
  sweep.unblock(1);
  sweep.end(0);

  EXPECT_EQ(sweep.run(1), RunState::cancelled);
  EXPECT_TRUE(finished(sweep.state));
}

}  // namespace
}  // namespace ration::scheduler
