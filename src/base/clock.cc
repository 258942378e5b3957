#include "base/clock.h"

#include <ctime>

namespace ration {
namespace {

double seconds(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  double unix_seconds() override { return seconds(CLOCK_REALTIME); }
  double monotonic_seconds() override { return seconds(CLOCK_MONOTONIC); }
  void sleep(double duration) override {
    if (duration <= 0) return;
    timespec span{};
    span.tv_sec = static_cast<time_t>(duration);
    span.tv_nsec = static_cast<long>((duration - static_cast<double>(span.tv_sec)) * 1e9);
    nanosleep(&span, nullptr);
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace ration
