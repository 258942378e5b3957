#pragma once

// What a fusion needs done by others, as functions: the scheduler does it (driver.cc), or a test.
// Internal to the room.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fuse/fuse.h"

namespace ration::fuse {

// One contribution to be trained. Its settings, base and seed decide what comes out.
struct Task {
  const Contributor* contributor = nullptr;
  std::int64_t round = 0;  // that it was begun for
  std::string base;        // sha256
  Path base_file;
  std::uint64_t seed = 0;
};

struct Trained {
  Path model = {};  // empty: failed, or not at its end
  std::string run = {};
  std::int64_t tokens = 0;
  double loss = 0;          // NaN unknown
  std::string reason = {};  // why it failed
  bool pending = false;     // it may still come
};

struct Hands {
  // One result a task, in their order. What was trained before is not trained again. `until`: unix
  // time at which those that are not at their end are left alone; nothing = wait for all. Errors
  // end the fusion (ErrorKind::interrupted: the same call continues).
  std::function<Result<std::vector<Trained>>(const std::vector<Task>&, std::optional<double> until)>
      train;
  // Losses of each model on each window of the probes, in nats a token.
  std::function<Result<std::vector<std::vector<double>>>(const std::vector<Path>&)> evaluate;
  std::function<void(const std::string&)> note;  // a line for people
  std::function<bool()> interrupted = {};        // somebody wants to end; empty = never
};

// run_fusion() with these hands.
Result<Summary> carry_out(const Config& config,
                          const Setup& setup,
                          const Hands& hands,
                          Files& files,
                          Clock& clock,
                          int threads = 0);

}  // namespace ration::fuse
