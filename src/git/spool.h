#pragma once

// The content of one request, taken in whole before it is looked at: the first MiB in memory, more
// in a file without a name, which goes with the process however that ends. A thread of its own
// hashes what is written.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/background_hash.h"
#include "base/files.h"
#include "versions/object_id.h"
#include "versions/restore.h"

namespace ration::git {

class Spool {
 public:
  // `folder` is made when it is needed; it should lie on a disk with room for the content.
  explicit Spool(Path folder) : folder_(std::move(folder)) {}
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // ErrorKind::resource where the file cannot be made or written.
  Result<void> append(std::string_view bytes);
  // Call once, when all is there: the SHA-256 of it.
  Result<versions::ObjectId> digest();

  std::uint64_t size() const { return size_; }
  // Its first bytes, up to a MiB.
  std::string_view head() const { return head_; }
  Result<std::string> text() const;
  // A path under which this process can open it, however short it is.
  Result<Path> path();
  // All of it, in order.
  Result<void> read(const versions::ByteSink& sink) const;

 private:
  Result<void> open_file();
  Result<void> flush();
  Result<void> write(std::string_view bytes);
  Path own_path() const;

  Path folder_;
  std::uint64_t size_ = 0;
  std::string head_;
  std::string waiting_;  // behind what the file has
  int file_ = -1;
  std::unique_ptr<BackgroundHash> hash_;  // of what the file has
};

}  // namespace ration::git
