#pragma once

// Who a process is, so that a number that the system gave to another program is never mistaken for
// it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ration {

// A process of this machine: its number alone is reused, the three together are not.
struct ProcessId {
  std::string boot;        // boot id of the machine
  std::int64_t pid = 0;    // 0 = nobody
  std::int64_t start = 0;  // clock ticks after boot
  bool operator==(const ProcessId&) const = default;
};

std::string host_name();
std::string boot_id();

// The identity of a living process; nothing when there is none, or only its unreaped remains.
std::optional<ProcessId> identify(std::int64_t pid);
ProcessId this_process();

// True while exactly this process lives.
bool alive(const ProcessId& process);

// Sends a signal, unless the number belongs to somebody else by now; false when nobody got it. With
// `group`, to the whole process group that this process leads.
bool send_signal(const ProcessId& process, int signal_number, bool group = false);

// Living processes one of whose command line words satisfies `match`. Reads /proc: about 20 µs a
// process.
std::vector<ProcessId> find_processes(const std::function<bool(std::string_view word)>& match);

}  // namespace ration
