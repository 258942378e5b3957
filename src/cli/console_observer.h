#pragma once

#include <string_view>

#include "base/clock.h"
#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

// Progress of runs in place on a terminal, else a plain line every ten seconds.
class ConsoleObserver final : public scheduler::Observer {
 public:
  explicit ConsoleObserver(const Console& console) : console_(console) {}
  void note(std::string_view text) override { console_.note(text); }
  void progress(const scheduler::Snapshot& snapshot) override;

 private:
  const Console& console_;
  double last_ = system_clock().monotonic_seconds();
};

}  // namespace ration::cli
