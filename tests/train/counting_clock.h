#pragma once

#include "base/clock.h"

namespace ration::test {

// A clock on which every look at it takes a second.
class CountingClock final : public Clock {
 public:
  double unix_seconds() override { return 1.7e9 + now_; }
  double monotonic_seconds() override { return now_ += 1; }
  void sleep(double seconds) override { now_ += seconds; }

 private:
  double now_ = 0;
};

}  // namespace ration::test
