#pragma once

// Time, passed in so that tests can hold it still.

namespace ration {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual double unix_seconds() = 0;       // wall time; may jump
  virtual double monotonic_seconds() = 0;  // for durations, timeouts and back-off; never jumps
  virtual void sleep(double seconds) = 0;  // returns early on a signal
};

Clock& system_clock();

}  // namespace ration
