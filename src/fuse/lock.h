#pragma once

// One process at a time works on the folder of a fusion. Internal to the room.
//
//   Result<Lock> lock = Lock::take(folder);

#include "base/files.h"

namespace ration::fuse {

// Held until it is destroyed, or the process ends in any way.
class Lock {
 public:
  // ErrorKind::usage where another holds it; does not wait.
  static Result<Lock> take(const Path& folder);

  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&&) = delete;
  ~Lock();

 private:
  explicit Lock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace ration::fuse
