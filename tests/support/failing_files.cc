#include "support/failing_files.h"

#include <cerrno>

namespace ration::test {

struct FailingFiles::State {
  Mode mode;
  int left;
  bool failed = false;

  // Whether the next changing operation goes wrong.
  bool breaks(bool needs_room) {
    if (left > 0) return --left, false;
    if (mode == Mode::disk_full && !needs_room) return false;
    failed = true;
    return true;
  }
};

namespace {

Error no_room(const Path& path) { return system_error("write", path, ENOSPC); }

template <class State>
class FailingAppendFile final : public AppendFile {
 public:
  FailingAppendFile(std::unique_ptr<AppendFile> file, Path path, std::shared_ptr<State> state)
      : file_(std::move(file)), path_(std::move(path)), state_(std::move(state)) {}

  // Half of the bytes arrive, as when the disk fills up within one write.
  Result<void> append(std::string_view bytes) override {
    if (!state_->breaks(true)) return file_->append(bytes);
    const Result<void> half = file_->append(bytes.substr(0, bytes.size() / 2));
    return half ? no_room(path_) : half;
  }
  Result<void> sync() override {
    return state_->breaks(true) ? Result<void>(no_room(path_)) : file_->sync();
  }

 private:
  std::unique_ptr<AppendFile> file_;
  Path path_;
  std::shared_ptr<State> state_;
};

}  // namespace

FailingFiles::FailingFiles(Files& files, Mode mode, int fail_at)
    : files_(files), state_(std::make_shared<State>(State{mode, fail_at})) {}
FailingFiles::~FailingFiles() = default;

bool FailingFiles::failed() const { return state_->failed; }

bool FailingFiles::exists(const Path& path) { return files_.exists(path); }
Result<std::uint64_t> FailingFiles::size(const Path& path) { return files_.size(path); }
Result<std::string> FailingFiles::read(const Path& path) { return files_.read(path); }
Result<std::string> FailingFiles::read_range(const Path& path,
                                             std::uint64_t offset,
                                             std::uint64_t limit) {
  return files_.read_range(path, offset, limit);
}
Result<std::unique_ptr<MappedFile>> FailingFiles::map(const Path& path) { return files_.map(path); }
Result<std::vector<std::string>> FailingFiles::list(const Path& folder) {
  return files_.list(folder);
}

Result<void> FailingFiles::make_folders(const Path& folder) {
  return state_->breaks(true) ? no_room(folder) : files_.make_folders(folder);
}
Result<bool> FailingFiles::make_folder_exclusively(const Path& folder) {
  if (state_->breaks(true)) return no_room(folder);
  return files_.make_folder_exclusively(folder);
}
Result<void> FailingFiles::write_whole(const Path& path, std::string_view bytes) {
  return state_->breaks(true) ? no_room(path) : files_.write_whole(path, bytes);
}
Result<bool> FailingFiles::write_exclusively(const Path& path, std::string_view bytes) {
  if (state_->breaks(true)) return no_room(path);
  return files_.write_exclusively(path, bytes);
}
Result<std::unique_ptr<AppendFile>> FailingFiles::open_append(const Path& path) {
  if (state_->breaks(true)) return no_room(path);
  Result<std::unique_ptr<AppendFile>> file = files_.open_append(path);
  if (!file) return file;
  return std::unique_ptr<AppendFile>(
      std::make_unique<FailingAppendFile<State>>(*std::move(file), path, state_));
}
Result<void> FailingFiles::truncate(const Path& path, std::uint64_t size) {
  return state_->breaks(false) ? no_room(path) : files_.truncate(path, size);
}
Result<void> FailingFiles::rename(const Path& from, const Path& to) {
  return state_->breaks(false) ? no_room(to) : files_.rename(from, to);
}
Result<void> FailingFiles::sync(const Path& path) {
  return state_->breaks(true) ? no_room(path) : files_.sync(path);
}
Result<void> FailingFiles::remove_all(const Path& path) {
  return state_->breaks(false) ? no_room(path) : files_.remove_all(path);
}

}  // namespace ration::test
