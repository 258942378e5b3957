#pragma once

// What happens in a simulated history, drawn from a seed: the runs, what they come to, and what
// befalls them. Every draw depends on the seed and on what it is for alone, so a fault can be left
// out without changing any other.

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/machine.h"

namespace ration::scheduler::simulation {

// A fault that a history holds and that a replay may leave out: attempt `number` of a run goes
// wrong, or (`run` -1) disturbance `number` comes from outside.
struct Fault {
  int run = -1;
  int number = 0;
  auto operator<=>(const Fault&) const = default;
};

// A history, named: "seed=17 runs=200", and after shrinking "seed=17 runs=25 faults=d3,a12.1".
struct Scenario {
  std::uint64_t seed = 0;
  int runs = 200;
  std::optional<std::set<Fault>> only = {};  // faults that happen; nothing = all
};
std::string name(const Scenario& scenario);
Result<Scenario> scenario(const std::string& name);

struct RunPlan {
  double work_seconds = 0;
  double checkpoint_seconds = 0;  // of work between two
  int trunk = -1;                 // a branch: begins when this run's work …
  double trunk_seconds = 0;       // … has a checkpoint of so much
  std::optional<Gate> gate = {};  // else: it waits for results of earlier runs
  Need need = {};
  std::size_t sweep = 0;
  std::int64_t priority = 0;
  std::size_t bracket = kNoBracket;
  std::size_t configuration = 0;
  double loss = 0;  // that it would come to
  std::optional<Foreseen> foreseen = {};
};

enum class DisturbanceKind {
  cancel,      // a person, of one run
  retry,       // a person, of one run
  interrupt,   // Ctrl-C
  crash,       // kill -9 of the scheduler
  node_death,  // one machine, and all that it carries out
  disk_full,   // for some minutes
  preemption,  // of an active run
};
inline constexpr int kDisturbances = 7;

struct Disturbance {
  DisturbanceKind kind = DisturbanceKind::cancel;
  double at = 0;             // seconds
  std::uint64_t choice = 0;  // of a run or machine
  double size = 0;           // within [0, 1)
};

// What an attempt comes to by itself.
struct Fate {
  enum class Kind {
    finishes,
    fails,         // for the reason `failure`
    vanishes,      // its processes are gone, and nobody wrote why
    never_starts,  // the executor promises that nothing was executed
    is_refused,    // the executor cannot start it at all
  };
  Kind kind = Kind::finishes;
  FailureClass failure = FailureClass::none;
  double fraction = 1;        // of its work that is done then
  double report_seconds = 0;  // until the scheduler can know
  bool reported_twice = false;
};

class Story {
 public:
  explicit Story(const Scenario& scenario);

  const Scenario& scenario() const { return scenario_; }
  // Its caps are lifted once it is calm.
  const Policy& policy() const { return policy_; }
  // FLOP a second of work that a command knows of from elsewhere; 0 = nothing is known.
  double speed() const { return speed_; }
  // Early stopping, where the history has it.
  const std::optional<Halving>& halving() const { return halving_; }
  const std::optional<Foresight>& foresight() const { return foresight_; }
  std::size_t brackets() const { return brackets_; }
  int hosts() const { return hosts_; }
  const Capacity& capacity() const { return capacity_; }
  const std::vector<double>& weights() const { return weights_; }  // of the sweeps
  const std::vector<RunPlan>& runs() const { return runs_; }
  // In the order of time. After `calm` nothing goes wrong any more.
  const std::vector<Disturbance>& disturbances() const { return disturbances_; }
  double calm() const { return calm_; }
  // Attempts count from 1.
  Fate fate(int run, int number, double now) const;
  bool happens(const Fault& fault) const {
    return !scenario_.only || scenario_.only->contains(fault);
  }

  // One draw, uniform in [0, 1): `what` names its purpose.
  double draw(std::uint64_t what, std::uint64_t a = 0, std::uint64_t b = 0) const;

 private:
  void draw_capacity();
  void draw_runs();
  void draw_caps();
  void draw_halving();
  Gate draw_gate(std::uint64_t run) const;
  Need draw_need(std::uint64_t run) const;
  void draw_disturbances();

  Scenario scenario_;
  Policy policy_;
  std::optional<Halving> halving_;
  std::optional<Foresight> foresight_;
  std::size_t brackets_ = 0;
  double speed_ = 0;
  int hosts_ = 1;
  double calm_ = 0;
  double fault_rate_ = 0;  // of attempts
  Capacity capacity_;
  std::vector<double> weights_;
  std::vector<RunPlan> runs_;
  std::vector<Disturbance> disturbances_;
};

}  // namespace ration::scheduler::simulation
