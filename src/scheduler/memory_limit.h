#pragma once

// Whether the kernel ended processes for want of memory: a worker that it kills leaves no word of
// its own.

#include <cstdint>

#include "base/files.h"

namespace ration::scheduler {

// Where the system shows its control groups; a test gives folders of its own.
struct ControlGroups {
  Path membership = "/proc/self/cgroup";
  Path root = "/sys/fs/cgroup";
};

// Processes of this process's control group that were ended so since it was made; 0 where the
// system does not say. Groups of version 1 and 2.
std::int64_t ended_for_memory(const ControlGroups& groups = {});

}  // namespace ration::scheduler
