#pragma once

// A sweep to play loops on, whose runs follow a known law.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "fit/support.h"
#include "loop/decide.h"

namespace ration::loop::test {

using ration::test::simulated_runs;

inline const fit::Law& law() { return *fit::find_law("data-constrained"); }
inline const fit::Coordinates kTruth = {6.2, 7.3, 0.6, 0.35, 0.37, std::log(12.0), std::log(6.0)};

// A sweep over a law that is known, with what each of its runs would come to: 5 sizes, 4 amounts of
// text, 6 numbers of epochs, and replicas.
class World {
 public:
  // Another `number`, other noise.
  explicit World(double noise = 0.005, int replicas = 1, int number = 0) {
    for (int replica = 0; replica < replicas; ++replica) {
      int setting = 0;
      for (const fit::Observation& run : simulated_runs(
               law(), kTruth, noise, static_cast<std::uint64_t>(1 + replica + 1000 * number))) {
        // Ids in an order that has nothing to do with the settings.
        runs.push_back({.id = fmt::format("{:03}-{}", (setting * 37) % 251, replica),
                        .cell = fmt::format("{}", setting),
                        .params = run.params,
                        .tokens = run.tokens,
                        .unique = run.unique});
        losses_[runs.back().id] = run.loss;
        ++setting;
      }
    }
  }

  Run& of(const std::string& id) {
    return *std::find_if(runs.begin(), runs.end(), [&](const Run& run) { return run.id == id; });
  }
  void finish(Run& run, RunStatus status = RunStatus::done) {
    EXPECT_EQ(run.status, RunStatus::open) << "started twice";
    run.status = status;
    run.loss = losses_.at(run.id);
  }
  void finish(const Decision& decision, RunStatus status = RunStatus::done) {
    for (const Pick& pick : decision.runs) {
      finish(of(pick.run), status);
      of(pick.run).chosen = true;
    }
  }
  double total() const {
    double flops = 0;
    for (const Run& run : runs) flops += cost(run).value;
    return flops;
  }
  double cheapest() const {
    double flops = HUGE_VAL;
    for (const Run& run : runs) flops = std::min(flops, cost(run).value);
    return flops;
  }
  // All decisions up to the one that ends the loop.
  std::vector<Decision> play(const Options& options) {
    std::vector<Decision> decisions;
    do {
      decisions.push_back(
          decide(runs, options, static_cast<int>(decisions.size()) + 1).value().decision);
      finish(decisions.back());
    } while (decisions.back().verdict == Verdict::start);
    return decisions;
  }

  std::vector<Run> runs;

 private:
  std::map<std::string, Loss> losses_;
};

inline Options options(const std::string& goal = "interval(epochs) < 25%") {
  return {.goal = parse_goal(goal, &law()).value(),
          .plan = {.budget = Flops(1e21), .unique = Tokens(4e9)},
          .resamples = 30,
          .threads = 1};
}

}  // namespace ration::loop::test
