#pragma once

// A history played to its end: a scheduler around the state machine that does what the engine does,
// with a store in memory, and that is killed and started again. After every event the promises are
// checked (promises.h).

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scheduler/simulation/outside.h"
#include "scheduler/simulation/promises.h"
#include "scheduler/simulation/records.h"

namespace ration::scheduler::simulation {

using Machine = std::function<Step(State, const MachineEvent&, double)>;

struct Played {
  std::string violation;  // empty: every promise was kept
  double at = 0;          // simulated seconds
  std::int64_t events = 0;
  std::int64_t launched = 0;
  std::int64_t stopped = 0;  // early, by a rule
  std::set<Fault> met;       // faults that happened
};

Played play(const Scenario& scenario, const Machine& machine = transition);

class Player {
 public:
  Player(const Story& story, Machine machine);
  Played play();

 private:
  // The loop of time.
  void advance();
  void disturb(int which, const Disturbance& disturbance);
  void command_ended();
  bool all_settled() const;

  // What the engine does.
  void begin();
  void adopt();
  std::map<std::size_t, Gate> gates();
  void feed(const MachineEvent& event);
  // Asks the machine; the actions are the caller's to do.
  std::vector<Action> ask(const MachineEvent& event);
  void perform(const Action& action);
  void launch(int run);
  // `not_startable`: the executor could not start it at all.
  void conclude(int run, bool not_startable = false);
  void look_at_trunks();
  void look_at_all_losses();
  void look_at_losses(int run);
  void report(int attempt);
  void write(int run, const Action& action);
  // A durable step; false when the scheduler was killed before it.
  bool survives();

  StoredRun& stored(int run) { return records_[static_cast<std::size_t>(run)]; }
  const RunPlan& plan(int run) const { return story_.runs()[static_cast<std::size_t>(run)]; }

  const Story& story_;
  Machine machine_;
  Outside outside_;
  Records records_;
  Promises promises_;
  double now_ = 0;
  std::size_t disturbed_ = 0;  // disturbances that are over
  std::int64_t events_ = 0;
  std::int64_t launched_ = 0;
  std::int64_t stopped_ = 0;
  std::set<Fault> met_;

  // Of one life of the scheduler.
  bool on_ = false;
  double resumes_ = 0;  // when a person repeats the command
  State state_;
  std::vector<std::string> ids_;     // run-ids
  std::vector<int> live_;            // number of the attempt that is followed, by run; 0 = none
  std::vector<MachineEvent> queue_;  // that actions gave rise to
  int steps_to_live_ = -1;           // durable steps until it is killed; -1 = it is not
  double next_trunks_ = 0;
  double next_losses_ = 0;
};

}  // namespace ration::scheduler::simulation
