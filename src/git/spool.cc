#include "git/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace ration::git {
namespace {

constexpr std::size_t kInMemory = std::size_t{1} << 20;

// A file of `folder` without a name; -1 where there can be none.
int open_nameless(const Path& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  // A file system that knows no such files: the name is taken away at once.
  std::string name = (folder / "spool.XXXXXX").string();
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

}  // namespace

Spool::~Spool() {
  if (file_ >= 0) close(file_);
}

Path Spool::own_path() const { return fmt::format("/proc/self/fd/{}", file_); }

Result<void> Spool::open_file() {
  if (Result<void> done = real_files().make_folders(folder_); !done) return done;
  file_ = open_nameless(folder_);
  if (file_ < 0) return system_error("create a temporary file in", folder_, errno);
  return write(head_);
}

Result<void> Spool::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write a temporary file in", folder_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> Spool::append(std::string_view bytes) {
  hash_.update(bytes);
  size_ += bytes.size();
  const std::string_view first = bytes.substr(0, kInMemory - head_.size());
  if (file_ < 0) {
    head_ += first;
    bytes.remove_prefix(first.size());
  }
  if (bytes.empty()) return {};
  if (file_ < 0)
    if (Result<void> done = open_file(); !done) return done;
  return write(bytes);
}

versions::ObjectId Spool::digest() { return {hash_.hex()}; }

Result<std::string> Spool::text() const {
  return file_ < 0 ? Result<std::string>(head_) : real_files().read(own_path());
}

Result<Path> Spool::path() {
  if (file_ < 0)
    if (Result<void> done = open_file(); !done) return std::move(done).error();
  return own_path();
}

Result<void> Spool::read(const versions::ByteSink& sink) const {
  if (file_ < 0) return head_.empty() ? Result<void>() : sink(std::as_bytes(std::span(head_)));
  Result<std::unique_ptr<MappedFile>> mapped = real_files().map(own_path());
  if (!mapped) return std::move(mapped).error();
  return sink((*mapped)->bytes());
}

}  // namespace ration::git
