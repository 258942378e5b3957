#pragma once

// The state machine of a sweep as a pure function: (state, event, now) -> (state, actions). It
// touches no file, clock or process, so every history can be played in a test.
//
//   Step step = transition(std::move(state), {.kind = EventKind::tick}, now);
//   for (const Action& action : step.actions) …launch, stop, record…
//   state = std::move(step.state);
//
// Which run starts when there is room: of the sweep that has used least of it for its weight, the
// one of the highest priority; of equals the one with most of a GPU, then the first. One that does
// not fit lets smaller ones pass for ten minutes; then nothing is started before it.
//
// Cost of an event: logarithmic in the number of runs, linear in the number of different needs.

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/budget.h"
#include "scheduler/capacity.h"
#include "scheduler/foresight.h"
#include "scheduler/gate.h"
#include "scheduler/halving.h"
#include "store/states.h"

namespace ration::scheduler {

using store::FailureClass;
using store::RunState;

struct Policy {
  // Runs at once, 1 to 1024 (jobs of a cluster: 1 to 100,000), where there is room for so many.
  int slots = 1;
  // First wait before a retry in seconds; doubles with each, up to ten minutes, and varies by a
  // quarter so that runs that failed together do not come back together.
  double backoff_seconds = 10;
  // Retries of a run whose worker was killed. Twice: once is bad luck, thrice is a cause.
  int retries_killed = 2;
  // Retries after an unexplained exit. Once: programs seldom change their mind.
  int retries_bug = 1;
  // Retries after the host's memory ran out. Each asks for half as much again, so twice is 2.25
  // times the memory: a run that needs more was planned wrongly.
  int retries_memory = 2;
  // Retries after a machine failed under the run, each on another one. Three such machines in a
  // row make the run itself suspicious.
  int retries_node = 3;
  // Failed runs after which nothing more is started; 0 = never.
  int max_failures = 0;
  // Go on even when everything fails alike.
  bool keep_going = false;
  // A run that would pass one of these is not started, and then no other.
  Caps caps = {};
};

// One run as the machine sees it.
struct RunNode {
  std::string id;      // run-id; seeds the variation of its waits
  bool wanted = true;  // false: only followed because it is alive, not to be started again
  RunState state = RunState::ready;
  std::array<int, store::kFailureClasses> failures{};  // by class, since the last `ration retry`
  int failed_at_start = 0;         // of these, before the first step and without a known reason
  std::vector<std::string> avoid;  // machines that failed under it
  double not_before = 0;           // monotonic seconds
  bool cancelling = false;         // a person asked; its worker was told
  bool blocked = false;            // its gate (graph.h) has not opened yet
  std::size_t sweep = 0;           // of State::sweeps
  std::int64_t priority = 0;       // larger ones of a sweep first
  Need need = {};
  bool alone = false;  // went out of memory beside others: a GPU to itself from now on
  std::vector<std::string> gpus = {};  // UUIDs of those that it holds while it is active
  double overtaken = -1;  // when a smaller run was first started before it, for want of room
  double flops_left = 0;  // that its next attempt is expected to take, or the active one
  bool counted = true;    // what its attempts use up counts against the caps
  Contestant contestant = {};
  std::optional<Foreseen> foreseen = {};  // by a law; contestant.tokens is set then
  bool spared = false;                    // a person let it go on: no rule stops it any more
  std::string stopped_by = {};            // a rule stopped it, and its worker was told: why
};

// One of the sweeps that are carried out together.
struct SweepShare {
  double weight = 1;  // above 0; twice the weight is twice the room
  double used = 0;    // since this command began: seconds times the part of the room
  double active = 0;  // part of the room that its runs take up now; derived
  std::optional<Foresight> foresight = {};  // ends its runs that have a prediction
};

// Runs of one sweep that need the same stand in one line.
struct Lane {
  std::size_t sweep = 0;
  Need need = {};
  auto operator<=>(const Lane&) const = default;
};

enum class Mode {
  running,
  draining,     // start nothing more, let the active runs finish
  interrupted,  // start nothing more, the active runs were asked to checkpoint
};

enum class StopCause { none, failures, alike, disk, interrupt, budget };

struct State {
  Policy policy;
  std::vector<RunNode> nodes;  // of each sweep in the order of starting
  std::vector<SweepShare> sweeps = std::vector<SweepShare>(1);
  Occupancy room;     // its capacity is given, what is taken of it derived
  store::Usage used;  // by attempts that ended and count, those of earlier commands included
  double speed = 0;   // FLOP that a slot does in a second, as long as `used` does not tell; 0 = ?
  std::map<std::size_t, Gate> gates;  // of nodes that wait for others; see connect() in graph.h
  std::vector<Bracket> brackets;      // runs that a rule compares; each remembers what it was told
  Mode mode = Mode::running;
  StopCause cause = StopCause::none;

  // Derived from the nodes by prepare() and kept by transition().
  std::map<Lane, std::set<std::size_t>> ready;               // may start now; no line is empty
  std::set<std::pair<double, std::size_t>> waiting;          // not_before, node
  std::set<std::size_t> blocked;                             // ready but for their gates
  std::set<std::size_t> stalled;                             // of these, that need a person
  std::set<std::pair<double, std::size_t>> deadlines;        // to come, of the blocked
  std::map<std::size_t, std::vector<std::size_t>> children;  // who waits for a node
  bool look_again = false;                                   // at all gates
  int active = 0;
  int active_wanted = 0;
  double under_way = 0;                 // FLOPs that active runs are expected to take
  double counted = 0;                   // time up to which SweepShare::used is counted
  int failures = 0;                     // runs that failed since this command began
  int settled = 0;                      // runs that ended for good since this command began
  int settled_invalid = 0;              // of these, unusable settings or data
  std::deque<std::string_view> recent;  // what befell the last ten attempts; "" = nothing unusual
};

// How an attempt ended.
struct Ending {
  FailureClass failure = FailureClass::none;  // none: it has a result
  bool never_started = false;                 // nothing was executed; costs no retry
  bool progressed = false;                    // it left a checkpoint of its own
  bool at_start = false;                      // it failed before its first step
  std::string host = {};                      // where it ran; empty = not known
  std::string detail = {};                    // for people: "worker killed by signal 9"
  store::Usage used = {};                     // by this attempt
};

enum class EventKind {
  tick,
  ended,
  cancel,
  retry,
  interrupt,
  arrived,    // the checkpoint that it wants of one of its parents is there
  missing,    // … and never will be: ending.detail says why
  evaluated,  // its held-out loss at some point of the training
};

struct MachineEvent {
  EventKind kind = EventKind::tick;
  std::size_t node = 0;
  Ending ending = {};
  std::size_t parent = 0;  // arrived, missing: its place in Gate::parents
  double tokens = 0;       // evaluated: seen by then; of one run never less than before
  double loss = 0;         // evaluated: nats a token
};

enum class ActionKind {
  launch,  // start an attempt
  stop,    // ask the worker to checkpoint and leave
  decide,  // write down, before the worker is told, that a rule stops the run
  record,  // write the run's new state
  say,     // tell the person
};

struct Action {
  ActionKind kind = ActionKind::say;
  std::size_t node = 0;
  RunState state = RunState::ready;  // record
  double delay = 0;                  // record: seconds until the next start
  std::string text = {};             // decide, record: why; say: what
};

struct Step {
  State state;
  std::vector<Action> actions;
};

// Fills the derived members; call once before the first event.
State prepare(State state, double now);

Step transition(State state, const MachineEvent& event, double now);

// Nothing is left to do or to wait for.
bool finished(const State& state);

// Monotonic time at which the next waiting run may start, or a deadline of a gate is over; infinity
// when there is none.
double next_start(const State& state);

// What the run asks for by now.
Need need_of(const RunNode& node);

// Micro batches are halved once for each time that the run went out of memory.
int halvings(const RunNode& node);

// What the next attempt may have of the host's memory, in parts of what the first one had: 1, 1.5,
// 2.25.
double memory_factor(const RunNode& node);

// Adds an ending to what counts against the run. The machine does so by itself; a restart repeats
// it for attempts of the past.
void charge(RunNode& node, const Ending& ending);

// Nothing counts against the run any more.
void forgive(RunNode& node);

// The wait before retry number `retry` (0, 1, …) of this run, in seconds.
double backoff(const Policy& policy, const std::string& id, int retry);

}  // namespace ration::scheduler
