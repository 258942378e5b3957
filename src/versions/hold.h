#pragma once

// Who works on a store: those who add hold it together, who collects or repacks holds it alone. A
// lock of the file <store>/lock that the system drops when the process ends, however it ends.

#include "base/files.h"

namespace ration::versions {

class Hold {
 public:
  // Waits while somebody collects or repacks. Adders may be many.
  static Result<Hold> to_add(Files& files, const Path& store);
  // Waits for everybody else.
  static Result<Hold> in_turn(Files& files, const Path& store);
  // ErrorKind::resource at once while anybody else holds the store.
  static Result<Hold> alone(Files& files, const Path& store);

  Hold(Hold&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Hold& operator=(Hold&&) = delete;
  ~Hold();

 private:
  explicit Hold(int descriptor) : descriptor_(descriptor) {}
  static Result<Hold> take(Files& files, const Path& store, int operation);

  int descriptor_;
};

}  // namespace ration::versions
