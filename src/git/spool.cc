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
constexpr std::size_t kBlock = std::size_t{1} << 20;  // is written and hashed in one go
constexpr std::size_t kUnhashed = 8 * kBlock;         // may lie in memory

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
  hash_ = std::make_unique<BackgroundHash>(Sha256());
  hash_->update(std::make_shared<const std::string>(head_));
  return write(head_);
}

Result<void> Spool::flush() {
  if (file_ < 0)
    if (Result<void> done = open_file(); !done) return done;
  const auto block = std::make_shared<const std::string>(std::move(waiting_));
  waiting_.clear();
  hash_->update(block);
  Result<void> done = write(*block);
  hash_->wait(kUnhashed);
  return done;
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
  size_ += bytes.size();
  const std::string_view first = bytes.substr(0, kInMemory - head_.size());
  head_ += first;
  waiting_ += bytes.substr(first.size());
  return waiting_.size() < kBlock ? Result<void>() : flush();
}

Result<versions::ObjectId> Spool::digest() {
  if (size_ <= kInMemory) return versions::ObjectId{sha256_hex(head_)};
  if (Result<void> done = flush(); !done) return std::move(done).error();
  return versions::ObjectId{hash_->result().hex()};
}

Result<std::string> Spool::text() const {
  if (file_ < 0) return head_ + waiting_;
  Result<std::string> text = real_files().read(own_path());
  if (text) *text += waiting_;
  return text;
}

Result<Path> Spool::path() {
  if (Result<void> done = flush(); !done) return std::move(done).error();
  return own_path();
}

Result<void> Spool::read(const versions::ByteSink& sink) const {
  const auto give = [&](std::string_view bytes) {
    return bytes.empty() ? Result<void>() : sink(std::as_bytes(std::span(bytes)));
  };
  if (file_ < 0) {
    Result<void> done = give(head_);
    return done ? give(waiting_) : done;
  }
  Result<std::unique_ptr<MappedFile>> mapped = real_files().map(own_path());
  if (!mapped) return std::move(mapped).error();
  Result<void> done = sink((*mapped)->bytes());
  return done ? give(waiting_) : done;
}

}  // namespace ration::git
