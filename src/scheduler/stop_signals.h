#pragma once

// Ctrl-C and SIGTERM as something to poll. While an object lives, both are held back from the
// process and can be read here instead; a closed terminal (SIGHUP) still ends the scheduler, and
// the runs survive it.

#include <signal.h>

namespace ration::scheduler {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int descriptor() const { return descriptor_; }  // readable when there is one
  int take();                                     // how many came since the last call

 private:
  int descriptor_ = -1;
  sigset_t before_{};
};

}  // namespace ration::scheduler
