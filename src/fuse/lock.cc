#include "fuse/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ration::fuse {

Result<Lock> Lock::take(const Path& folder) {
  const Path file = folder / "lock";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return system_error("open", file, errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Lock(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (reason != EWOULDBLOCK) return system_error("lock", file, reason);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("another process works on {}", folder.string()),
               .hint = "wait for it, or stop it; then give the same command"};
}

Lock::Lock(Lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Lock::~Lock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace ration::fuse
