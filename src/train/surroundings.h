#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/files.h"

namespace ration::train {

// The outside world of a worker, passed in so that tests can stand in for it.
struct Surroundings {
  Files& files;
  Clock& clock;
  std::function<bool()> stop_requested;               // a first SIGTERM or SIGUSR1 has come
  std::function<void(const std::string&)> show_line;  // the live line of a terminal; may be empty
  std::function<void(std::int64_t micro_batch)> before_step =
      {};  // tests make it throw, as LibTorch does
};

}  // namespace ration::train
