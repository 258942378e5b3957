#include "versions/hold.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace ration::versions {

Result<Hold> Hold::to_add(Files& files, const Path& store) { return take(files, store, LOCK_SH); }

Result<Hold> Hold::in_turn(Files& files, const Path& store) { return take(files, store, LOCK_EX); }

Result<Hold> Hold::alone(Files& files, const Path& store) {
  return take(files, store, LOCK_EX | LOCK_NB);
}

Result<Hold> Hold::take(Files& files, const Path& store, int operation) {
  if (Result<void> done = files.make_folders(store); !done) return std::move(done).error();
  const Path path = store / "lock";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return system_error("lock", path, errno);
  Hold hold(descriptor);
  while (flock(descriptor, operation) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK)
      return Error{.kind = ErrorKind::resource,
                   .what = fmt::format("another process works on {}", store.string()),
                   .hint = "repeat the command when its add, checkout, gc or repack has ended"};
    return system_error("lock", path, errno);
  }
  return hold;
}

Hold::~Hold() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace ration::versions
