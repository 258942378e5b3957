#include "scheduler/stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace ration::scheduler {

StopSignals::StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, &before_);
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

StopSignals::~StopSignals() {
  take();  // one that came after the last look must not end the program now
  if (descriptor_ >= 0) close(descriptor_);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

int StopSignals::take() {
  int count = 0;
  signalfd_siginfo info{};
  while (descriptor_ >= 0 && read(descriptor_, &info, sizeof info) == sizeof info) ++count;
  return count;
}

}  // namespace ration::scheduler
