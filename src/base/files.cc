#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/unsynced_files.h"

namespace ration {

Error system_error(const std::string& action, const Path& path, int error_number) {
  Error error{
      .kind = ErrorKind::resource,
      .what = fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(error_number))};
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
      error.kind = ErrorKind::input;
      error.hint = "check the path";
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      error.hint = "free some space, then repeat the same command: it continues";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      error.hint = "choose a folder that you may write to, or change its permissions";
      break;
    case EIO:
    case ESTALE:
    case ENOTCONN:
    case ETIMEDOUT:
      error.hint = "see whether this disk or network file system works, then repeat the command";
      break;
    default:
      break;
  }
  return error;
}

namespace {

// Calls again what a signal interrupted, as happens on network file systems.
template <class Call>
int uninterrupted(Call call) {
  int result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

int open_file(const Path& path, int flags) {
  return uninterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, 0666); });
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::string_view bytes, const Path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> check_regular(const Path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return system_error("read", path, errno);
  if (S_ISREG(info.st_mode)) return {};
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("cannot read {}: it {}",
                                   path.string(),
                                   S_ISDIR(info.st_mode) ? "is a folder" : "is no regular file"),
               .hint = "name a file that holds the data itself"};
}

Path parent_of(const Path& path) {
  const Path parent = path.parent_path();
  return parent.empty() ? Path(".") : parent;
}

// A name that no other writer of this machine uses at the same time.
Path temporary_beside(const Path& path) {
  static std::atomic<unsigned> counter = 0;
  return parent_of(path) /
         fmt::format("{}.{}.{}.tmp", path.filename().string(), getpid(), counter++);
}

class RealAppendFile final : public AppendFile {
 public:
  RealAppendFile(int fd, Path path) : fd_(fd), path_(std::move(path)) {}
  Result<void> append(std::string_view bytes) override {
    Result<void> done = write_all(fd_.get(), bytes, path_);
#ifdef SYNC_FILE_RANGE_WRITE
    // The disk begins early, so that a sync waits for little and few pages are dirty.
    constexpr std::size_t kBegin = std::size_t{8} << 20;
    unstarted_ += bytes.size();
    if (unstarted_ >= kBegin) {
      sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
      unstarted_ = 0;
    }
#endif
    return done;
  }
  Result<void> sync() override {
    if (uninterrupted([&] { return fdatasync(fd_.get()); }) != 0)
      return system_error("sync", path_, errno);
    return {};
  }

 private:
  Descriptor fd_;
  Path path_;
  std::size_t unstarted_ = 0;  // bytes that the disk was not told to write
};

class RealMappedFile final : public MappedFile {
 public:
  RealMappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  ~RealMappedFile() override {
    if (size_ > 0) munmap(address_, size_);
  }
  std::span<const std::byte> bytes() const override {
    return {static_cast<const std::byte*>(address_), size_};
  }

 private:
  void* address_;
  std::size_t size_;
};

class RealFiles final : public Files {
 public:
  explicit RealFiles(bool synced) : synced_(synced) {}

  bool exists(const Path& path) override {
    struct stat info {};
    return stat(path.c_str(), &info) == 0;
  }

  Result<std::uint64_t> size(const Path& path) override {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return system_error("read", path, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<std::string> read(const Path& path) override { return read_range(path, 0, UINT64_MAX); }

  Result<std::string> read_range(const Path& path,
                                 std::uint64_t offset,
                                 std::uint64_t limit) override {
    const Descriptor fd(open_file(path, O_RDONLY));
    if (fd.get() < 0) return system_error("read", path, errno);
    std::string bytes;
    // What is left of the file, and a byte that tells its end. Files that have no size, such as
    // those of /proc, begin with a small block: a large one would be cleared in vain.
    std::uint64_t block = 1U << 12;
    std::uint64_t left = 0;
    struct stat status {};
    if (fstat(fd.get(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) > offset) {
      left = static_cast<std::uint64_t>(status.st_size) - offset;
      block = left + 1;
    }
    while (bytes.size() < limit) {
      const std::size_t have = bytes.size();
      const std::uint64_t wanted = block;
      bytes.resize(have + std::min(wanted, limit - have));
      block = std::clamp<std::uint64_t>(4 * have, 1U << 12, 1U << 20);
      const ssize_t got = pread(
          fd.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset + have));
      bytes.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read", path, errno);
      const bool asked_for_more = std::min(wanted, limit - have) > static_cast<std::uint64_t>(got);
      if (got == 0 || (asked_for_more && bytes.size() == left)) break;
    }
    return bytes;
  }

  Result<std::unique_ptr<MappedFile>> map(const Path& path) override {
    // Asked first: opening a pipe waits for its writer.
    if (Result<void> usable = check_regular(path); !usable) return std::move(usable).error();
    const Descriptor fd(open_file(path, O_RDONLY));
    if (fd.get() < 0) return system_error("read", path, errno);
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) return system_error("read", path, errno);
    const auto length = static_cast<std::size_t>(info.st_size);
    if (length == 0)
      return std::unique_ptr<MappedFile>(std::make_unique<RealMappedFile>(nullptr, 0));
    void* address = mmap(nullptr, length, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return system_error("map", path, errno);
    return std::unique_ptr<MappedFile>(std::make_unique<RealMappedFile>(address, length));
  }

  Result<std::vector<std::string>> list(const Path& folder) override {
    std::error_code code;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(folder, code);
    for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code))
      names.push_back(entry->path().filename().string());
    if (code) return system_error("list", folder, code.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> make_folders(const Path& folder) override {
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code) return system_error("create folder", folder, code.value());
    return {};
  }

  Result<bool> make_folder_exclusively(const Path& folder) override {
    if (mkdir(folder.c_str(), 0777) == 0) {
      if (Result<void> done = sync(parent_of(folder)); !done) return std::move(done).error();
      return true;
    }
    if (errno == EEXIST) return false;
    return system_error("create folder", folder, errno);
  }

  Result<void> write_whole(const Path& path, std::string_view bytes) override {
    const Path temporary = temporary_beside(path);
    if (Result<void> done = write_new(temporary, bytes); !done) return done;
    Result<void> renamed = rename(temporary, path);
    if (!renamed) unlink(temporary.c_str());
    return renamed;
  }

  Result<bool> write_exclusively(const Path& path, std::string_view bytes) override {
    const Path temporary = temporary_beside(path);
    if (Result<void> done = write_new(temporary, bytes); !done) return std::move(done).error();
    const int linked = link(temporary.c_str(), path.c_str()) == 0
                           ? 0
                           : errno;  // atomic, unlike rename, where it exists
    unlink(temporary.c_str());
    if (linked == EEXIST) return false;
    if (linked != 0) return system_error("create", path, linked);
    if (Result<void> done = sync(parent_of(path)); !done) return std::move(done).error();
    return true;
  }

  Result<std::unique_ptr<AppendFile>> open_append(const Path& path) override {
    const int fd = open_file(path, O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0) return system_error("open", path, errno);
    return std::unique_ptr<AppendFile>(std::make_unique<RealAppendFile>(fd, path));
  }

  Result<void> truncate(const Path& path, std::uint64_t size) override {
    if (uninterrupted([&] { return ::truncate(path.c_str(), static_cast<off_t>(size)); }) != 0)
      return system_error("truncate", path, errno);
    return {};
  }

  Result<void> rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to", to, errno);
    return sync(parent_of(to));
  }

  Result<void> sync(const Path& path) override {
    if (!synced_) return {};
    const Descriptor fd(open_file(path, O_RDONLY));
    if (fd.get() < 0) return system_error("sync", path, errno);
    if (uninterrupted([&] { return fsync(fd.get()); }) != 0)
      return system_error("sync", path, errno);
    return {};
  }

  Result<void> remove_all(const Path& path) override {
    std::error_code code;
    std::filesystem::remove_all(path, code);
    if (code) return system_error("remove", path, code.value());
    return {};
  }

 private:
  Result<void> write_new(const Path& path, std::string_view bytes) const {
    const Descriptor fd(open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
    if (fd.get() < 0) return system_error("create", path, errno);
    Result<void> done = write_all(fd.get(), bytes, path);
    if (done && synced_ && uninterrupted([&] { return fsync(fd.get()); }) != 0)
      done = system_error("sync", path, errno);
    if (!done) unlink(path.c_str());
    return done;
  }

  bool synced_;
};

}  // namespace

void release_pages(const MappedFile& file, std::uint64_t begin, std::uint64_t end) {
  const auto* mapped = dynamic_cast<const RealMappedFile*>(&file);
  if (mapped == nullptr) return;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  end = std::min<std::uint64_t>(end, mapped->bytes().size());
  begin = (begin + page - 1) / page * page;
  if (end != mapped->bytes().size()) end = end / page * page;
  if (begin >= end) return;
  auto* address = const_cast<std::byte*>(mapped->bytes().data()) + begin;
  madvise(address, end - begin, MADV_DONTNEED);  // a shared map of a file: nothing is lost
}

Files& real_files() {
  static RealFiles files(true);
  return files;
}

Files& unsynced_files() {
  static RealFiles files(false);
  return files;
}

}  // namespace ration
