#include "scheduler/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace ration::scheduler {
namespace {

constexpr const char* kCounter = "oom_kill";

std::int64_t counter_in(const Path& file) {
  std::ifstream stream(file);
  std::string key;
  for (std::int64_t value = 0; stream >> key >> value;)
    if (key == kCounter) return value;
  return 0;
}

}  // namespace

std::int64_t ended_for_memory(const ControlGroups& groups) {
  std::ifstream stream(groups.membership);
  std::int64_t most = 0;
  for (std::string line; std::getline(stream, line);) {
    // number:controllers:/path, and no controllers in version 2
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const Path path = Path(line.substr(second + 1)).relative_path();
    if (controllers.empty())
      most = std::max(most, counter_in(groups.root / path / "memory.events"));
    else if (controllers == "memory")
      most = std::max(most, counter_in(groups.root / "memory" / path / "memory.oom_control"));
  }
  return most;
}

}  // namespace ration::scheduler
