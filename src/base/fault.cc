#include "base/fault.h"

#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace ration {
namespace {

struct Fault {
  std::string name;
  std::atomic<long> passes_left = 1;

  Fault() {
    const char* text = std::getenv("RATION_FAULT");
    if (text == nullptr) return;
    name = text;
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) return;
    passes_left = std::strtol(name.c_str() + colon + 1, nullptr, 10);
    name.resize(colon);
  }
};

}  // namespace

void fault_point(std::string_view name) {
  static Fault fault;
  if (fault.name.empty() || fault.name != name) return;
  if (--fault.passes_left <= 0) raise(SIGKILL);
}

}  // namespace ration
