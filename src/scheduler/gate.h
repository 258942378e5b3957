#pragma once

// What a run waits for before it may begin: results or checkpoints of others, all of them or a
// quorum.
//
//   Gate fuse;
//   fuse.parents = {{.node = 4}, {.node = 5}, {.node = 6}};
//   fuse.quorum = 2;               // two of three suffice …
//   fuse.deadline_seconds = 3600;  // … an hour after the first of them was started
//   fuse.on_stall = OnStall::wait;
//
// A gate opens as soon as all that can come are there and suffice, or at its deadline when a quorum
// is there. Then its list of parents is closed: what comes later changes nothing, so the arrivals
// are the record of what the run began with.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ration::scheduler {

enum class Wants {
  result,      // the parent is done; one that diverged has nothing to give
  checkpoint,  // of Parent::step; events say when it is there (EventKind::arrived)
};

enum class Arrival {
  awaited,
  here,
  absent,  // for good, unless the parent is retried
};

inline constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

struct Parent {
  std::size_t node = kNobody;  // of State::nodes; kNobody: not among them
  Wants wants = Wants::result;
  std::int64_t step = 0;       // checkpoint
  std::string id = {};         // run-id; connect() knows it where the parent is a node
  std::string called = "run";  // checkpoint: what it is to the run, for people
  Arrival arrival = Arrival::awaited;
  std::string why = {};  // absent: for people
};

// What happens when fewer than a quorum can come, or are there at the deadline.
enum class OnStall {
  wait,    // begin as soon as a quorum is there, and be stalled as long as it cannot
  extend,  // the same, but wait for all until another deadline is over
  go_on,   // begin with what is there, one at least
  abort,   // fail, with the names of those that are missing
};

struct Gate {
  std::vector<Parent> parents = {};  // distinct, in the order in which they are to be used
  std::size_t quorum = 0;            // how many suffice, at most all; 0 = all of them
  // From the first start of a parent, in monotonic seconds; a restart of the scheduler begins it
  // anew. Infinity: whatever may still come is waited for.
  double deadline_seconds = std::numeric_limits<double>::infinity();
  OnStall on_stall = OnStall::abort;

  double deadline = std::numeric_limits<double>::infinity();  // monotonic; kept by the machine
};

struct GateView {
  enum class State {
    awaits,
    open,
    stalled,  // too few can come, unless a person retries some
    shut,     // the run fails with it
  };
  State state = State::awaits;
  std::string why = {};  // stalled, shut
};

// `held`: awaited parents that are stalled themselves.
GateView look_at(const Gate& gate, double now, std::size_t held);

// Parents that are there.
std::size_t arrived(const Gate& gate);
// How many suffice.
std::size_t needed(const Gate& gate);

// "waits for 2 of runs 1a2b, 3c4d, 5e6f", "waits for step 40 of its trunk 1a2b"; for people.
std::string describe(const Gate& gate);

}  // namespace ration::scheduler
