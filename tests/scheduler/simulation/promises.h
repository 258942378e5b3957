#pragma once

// What must hold after every event of a simulated history, told without the machine's own counts.

#include <string>
#include <vector>

#include "scheduler/simulation/outside.h"
#include "scheduler/simulation/records.h"

namespace ration::scheduler::simulation {

// By run: it waits for results of which too few can come, and only a person could help.
std::vector<bool> hopeless(const Story& story, const Records& records);

class Promises {
 public:
  Promises(const Story& story, const Outside& outside, const Records& records);

  // What the machine answered to an event.
  void of_step(const std::vector<Action>& actions, const State& state, double now);
  // The machine asks for an attempt of this run, in `state`.
  void at_launch(int run, const State& state, double now);
  // An attempt ended; the records hold it, or (`refused`) nobody but this life knows of it.
  void at_end(int run, const Ending& ending, bool refused);
  // A person asked for a retry.
  void at_retry(int run);
  // The machine gave a run up for what its attempts came to.
  void at_failure(int run);
  // A rule of early stopping decided to end a run, and its end by that.
  void at_decision(int run);
  void at_stop(int run);
  // A held-out loss of the run became known; `awaited`: another run waited for it then.
  void at_evaluation(int run, bool awaited, const State& state);
  // All that an event led to was done.
  void after(const State& state, double now);
  // An attempt takes up room, and leaves it.
  void take(const StoredAttempt& attempt);
  void leave(const StoredAttempt& attempt);
  // A command begins, with its first state.
  void at_begin(const State& state);
  // Nothing is left to do, and nothing goes wrong any more.
  void at_the_end();

  void broken(std::string what);
  // The first that was not kept; empty = none.
  const std::string& violation() const { return violation_; }

 private:
  const StoredRun& stored(int run) const { return (*records_)[static_cast<std::size_t>(run)]; }
  // Why policy gives no further attempt; empty when it gives one.
  std::string exhausted(int run) const;
  void occupy(const StoredAttempt& attempt, int sign);
  bool fits(const Need& need) const;
  // The law says what the run will come to, and the newest of its losses does not deny it.
  bool foretold(int run) const;
  // How a run compares at the last rung that it reached with its newest loss; nothing when it
  // reached none with that.
  std::optional<Standing> standing(int run) const;
  double share(const Need& need, std::size_t gpu) const;
  bool overdue(std::size_t run, double now) const;
  void at_passing(std::size_t launched, bool last, const State& state, double now);
  void started(int run, double now);
  // Why a run with a gate may not begin yet; empty when it may.
  std::string early(int run, double now) const;
  void at_idle_room(const State& state, double now);

  const Story* story_;
  const Outside* outside_;
  const Records* records_;
  // In this life, by run: attempts in a row that never started, and that could not be started.
  std::vector<int> fruitless_;
  std::vector<int> refused_;
  Mode mode_ = Mode::running;   // after the last step
  int threads_ = 0;             // taken
  std::vector<double> shares_;  // taken, of each GPU
  // By run: since when smaller ones of its sweep pass it, and any at all; negative = none does.
  std::vector<double> overtaken_;
  std::vector<double> passed_;
  std::vector<double> first_start_;  // by run, in any life; negative = not yet
  bool retried_ = false;             // a person retried some run
  std::int64_t events_ = 0;
  std::string violation_;
};

}  // namespace ration::scheduler::simulation
