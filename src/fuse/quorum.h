#pragma once

// When a round is closed: a pure function of how many contributions are in, who may still come, and
// the time. Internal to the room.

#include "fuse/config.h"

namespace ration::fuse {

struct Waiting {
  std::int64_t of = 0;         // contributors of the round
  std::int64_t in = 0;         // have sent something
  std::int64_t coming = 0;     // may still: neither in nor failed
  bool past_deadline = false;  // there is one, and it is over
};

enum class Next {
  wait,    // for those that may come
  close,   // fuse what is in
  extend,  // the deadline, by its own length
  stall,   // nobody may come by himself, and too few are in: a person decides
  abort,
};

Next decide(const Config& config, const Waiting& waiting);

}  // namespace ration::fuse
