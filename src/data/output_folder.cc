#include "data/output_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ration::data {
namespace {

constexpr const char* kLockName = "lock";

Path temporary_of(const Path& folder) { return folder.string() + ".tmp"; }
Path aside_of(const Path& folder) { return folder.string() + ".replaced.tmp"; }

// What lies under the temporary name is removed, so it must be the leftover of a killed writer:
// those hold a lock file.
Result<void> check_leftover(Files& files, const Path& temporary) {
  if (!files.exists(temporary) || files.exists(temporary / kLockName)) return {};
  const Result<std::vector<std::string>> names = files.list(temporary);
  if (names && names->empty()) return {};
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format("{} is needed for writing, and holds something else", temporary.string()),
      .hint = "move it away, or choose another output folder"};
}

}  // namespace

// An advisory lock on <folder>.tmp/lock; the system releases it when the process ends, however it
// ends.
class OutputFolder::Lock {
 public:
  explicit Lock(int fd) : fd_(fd) {}
  ~Lock() { close(fd_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  static Result<std::unique_ptr<Lock>> take(const Path& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return system_error("create", path, errno);
    auto lock = std::make_unique<Lock>(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && lock->is_still(path)) return lock;
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("another process is writing {}", path.parent_path().string()),
                 .hint = "wait until it is done, then repeat the same command"};
  }

 private:
  // False when the other holder removed or published the folder after this process opened it.
  bool is_still(const Path& path) const {
    struct stat mine {};
    struct stat there {};
    return fstat(fd_, &mine) == 0 && stat(path.c_str(), &there) == 0 &&
           mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
  }

  int fd_;
};

OutputFolder::OutputFolder(Files& files, Path folder, std::unique_ptr<Lock> lock)
    : files_(&files),
      folder_(std::move(folder)),
      temporary_(temporary_of(folder_)),
      lock_(std::move(lock)) {}

OutputFolder::~OutputFolder() {
  if (lock_ == nullptr) return;
  // What cannot be removed now is removed by the next claim.
  const Result<void> ignored = files_->remove_all(temporary_);
  static_cast<void>(ignored.has_value());
}

Result<void> OutputFolder::recover(Files& files, const Path& folder) {
  const Path aside = aside_of(folder);
  if (!files.exists(aside)) return {};
  return files.exists(folder) ? files.remove_all(aside) : files.rename(aside, folder);
}

Result<OutputFolder> OutputFolder::claim(Files& files, const Path& folder) {
  const Path temporary = temporary_of(folder);
  if (Result<void> ours = check_leftover(files, temporary); !ours) return std::move(ours).error();
  if (Result<void> done = files.make_folders(temporary); !done) return std::move(done).error();
  Result<std::unique_ptr<Lock>> lock = Lock::take(temporary / kLockName);
  if (!lock) return std::move(lock).error();
  return OutputFolder(files, folder, *std::move(lock));
}

Result<void> OutputFolder::clear() {
  const Result<std::vector<std::string>> names = files_->list(temporary_);
  if (!names) return names.error();
  for (const std::string& name : *names)
    if (name != kLockName)
      if (Result<void> done = files_->remove_all(temporary_ / name); !done) return done;
  return {};
}

// The lock file goes along with the rename and is removed last: until the new name stands, no other
// process can take the lock and empty the folder.
Result<void> OutputFolder::publish() {
  if (Result<void> done = files_->sync(temporary_); !done) return done;
  const Path aside = aside_of(folder_);
  if (files_->exists(folder_)) {
    if (Result<void> done = files_->remove_all(aside); !done) return done;
    if (Result<void> done = files_->rename(folder_, aside); !done) return done;
  }
  if (Result<void> done = files_->rename(temporary_, folder_); !done) {
    const Result<void> back = recover(*files_, folder_);
    return back ? std::move(done) : back;
  }
  lock_.reset();
  if (Result<void> done = files_->remove_all(folder_ / kLockName); !done) return done;
  return files_->remove_all(aside);
}

}  // namespace ration::data
