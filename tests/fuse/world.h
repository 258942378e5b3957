#pragma once

// A fusion without a scheduler: contributors whose "training" moves the base by numbers that depend
// on base, contributor and seed alone, as runs do; what was trained once is found again.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fuse/hands.h"
#include "support/temporary_folder.h"

namespace ration::test {

// Time that passes only when somebody sleeps.
class StillClock final : public Clock {
 public:
  double unix_seconds() override { return now; }
  double monotonic_seconds() override { return now; }
  void sleep(double seconds) override { now += seconds; }
  double now = 1000;
};

using Numbers = std::vector<double>;

// One f32 tensor "w", and a whole-number tensor that all models share.
void write_model(const Path& file, const Numbers& numbers);
Numbers read_model(const Path& file);

class World {
 public:
  World();

  // {"rounds":…}: a table [fuse] with three contributors a, b, c unless it names others.
  fuse::Config config(const Json& changes = Json::object()) const;
  fuse::Setup setup(const std::string& name = "test") const;
  fuse::Hands hands();
  Result<fuse::Summary> carry_out(const fuse::Config& config, const std::string& name = "test");
  fuse::Summary carried_out(const fuse::Config& config, const std::string& name = "test");
  Path folder(const std::string& name = "test") const;
  // All files of a fusion by name, but the copies of what contributors sent.
  std::map<std::string, std::string> files_of(const std::string& name) const;

  Files& files;  // what the fusion sees
  StillClock clock;
  Numbers start;  // theta_0
  TemporaryFolder scratch;

  // What contributors do.
  std::map<std::string, Numbers> goals;  // each moves a part of the way to its own
  double noise = 0.01;
  std::set<std::string> failing;  // never arrive
  std::set<std::string> slow;     // are not at their end at a deadline
  // What a contributor sends in place of its model; its file.
  std::map<std::string, Path> sends;
  // Losses of a model on the probe's windows.
  std::function<Numbers(const Numbers& model)> probe;

  std::vector<std::string> trained;  // "a 1": contributor and round, as they were trained
  std::vector<std::string> notes;
};

}  // namespace ration::test
