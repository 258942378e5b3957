#include <fmt/format.h>

#include "base/process.h"
#include "store/database.h"
#include "store/store.h"

namespace ration::store {

Result<std::optional<std::string>> Reader::holder(double now) const {
  return guarded([&]() -> std::optional<std::string> {
    constexpr double kSilence = 60;  // seconds after which another host's hold may be taken
    Statement lease = database_->prepare("SELECT host, pid, pid_start, renewed FROM leases");
    if (!lease.step()) return std::nullopt;
    const std::string host = lease.text(0);
    const ProcessId process{
        .boot = this_process().boot, .pid = lease.integer(1), .start = lease.integer(2)};
    const bool holds = host == host_name() ? alive(process) : now - lease.real(3) < kSilence;
    if (!holds) return std::nullopt;
    return fmt::format("process {} on {}", process.pid, host);
  });
}

}  // namespace ration::store
