#pragma once

// attempt-<n>/time.json: how long an attempt took, as its supervisor measured it. Clocks of walls
// jump; so this goes before differences of them.

#include <optional>

#include "base/files.h"

namespace ration::scheduler {

struct AttemptTime {
  double started = 0;  // UNIX seconds, by the wall clock of that moment
  double seconds = 0;  // until the worker had left, by the monotonic clock

  double ended() const { return started + seconds; }  // by the wall clock of its start
};

Result<void> write_attempt_time(Files& files, const Path& attempt, const AttemptTime& time);
// Nothing where there is none (its supervisor was killed), or it cannot be used.
std::optional<AttemptTime> read_attempt_time(Files& files, const Path& attempt);

}  // namespace ration::scheduler
