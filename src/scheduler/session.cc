#include "scheduler/session.h"

#include <unistd.h>

#include <charconv>

namespace ration::scheduler {
namespace {

// The token on it, its supervisor's command line as a copy of it, or none yet.
bool may_be_worker(std::string_view words, std::string_view token) {
  return words.empty() || words.find(token) != std::string_view::npos ||
         words.find(std::string_view("\0supervise\0", 11)) != std::string_view::npos;
}

}  // namespace

std::vector<ProcessId> workers_in_session(const ProcessId& supervisor, std::string_view token) {
  std::vector<ProcessId> found;
  if (supervisor.pid <= 1 || supervisor.boot != boot_id()) return found;
  const std::vector<std::string> names =
      real_files().list("/proc").value_or(std::vector<std::string>());
  for (const std::string& name : names) {
    pid_t pid = 0;
    const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (code != std::errc() || end != name.data() + name.size()) continue;
    if (pid == supervisor.pid || getsid(pid) != supervisor.pid) continue;
    // Gone before it could be read: then it is not identified either.
    const std::string words = real_files().read("/proc/" + name + "/cmdline").value_or("");
    if (!may_be_worker(words, token)) continue;
    if (std::optional<ProcessId> process = identify(pid)) found.push_back(std::move(*process));
  }
  return found;
}

}  // namespace ration::scheduler
