#pragma once

// How many of a sweep's runs are active at once: what each of them needs, and what there is.

#include "scheduler/capacity.h"
#include "scheduler/scheduler.h"

namespace ration::scheduler {

struct Room {
  int slots = 1;  // Policy::slots
  Capacity capacity = {};
  int at_once = 1;  // of these runs, about: for estimates
  std::vector<std::string> warnings = {};
};

// On a cluster as many as may be in its queue. On this machine as many as have a core for each
// thread, or as --jobs says, and where they train on GPUs never more than have a GPU or their part
// of one. GPUs are looked for only where a run may use them, and `starts` that any may start.
// ErrorKind::usage when a run asks for more of a GPU than any has.
Result<Room> room_for(const Expansion& expansion, const SweepOptions& options, bool starts = true);

// What a run needs in such a room.
Need need_of(const run::Execution& execution, const SweepOptions& options, const Room& room);

}  // namespace ration::scheduler
