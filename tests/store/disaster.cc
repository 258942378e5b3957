#include "disaster.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

namespace ration::store {
namespace {

std::string content_of(const Path& path, std::uint64_t offset, std::uint64_t size) {
  return real_files().read_range(path, offset, size).value_or("");
}

void write_at(const Path& path, std::uint64_t offset, const std::string& bytes) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT, 0666);
  if (descriptor < 0) return;
  const ssize_t written =
      pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  (void)written;
  close(descriptor);
}

}  // namespace

Disaster::Verdict Disaster::before(bool needs_room) {
  ++count_;
  const bool here = count_ == at_;
  switch (kind_) {
    case Misfortune::none:
      break;
    case Misfortune::kill:
      if (here) _exit(kExit);
      break;
    case Misfortune::torn:
      if (here) return Verdict::half;
      break;
    case Misfortune::drop:
      if (!here) break;
      lose_power();
      _exit(kExit);
    case Misfortune::fails:
      if (here) return Verdict::error;
      break;
    case Misfortune::keeps_failing:
      if (count_ >= at_ && (needs_room || (error_ != ENOSPC && error_ != EDQUOT)))
        return Verdict::error;
      break;
    case Misfortune::stall:
      if (!here || !while_stalled) break;
      kind_ = Misfortune::none;
      while_stalled();
      break;
  }
  return Verdict::go_on;
}

void Disaster::end() { _exit(kExit); }

void Disaster::overwrites(const Path& path, std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t old_size = real_files().size(path).value_or(0);
  files_[path.string()].undo.push_back({offset, content_of(path, offset, size), old_size});
}

void Disaster::cuts(const Path& path, std::uint64_t size) { overwrites(path, size, UINT64_MAX); }

void Disaster::folder_synced(const Path& folder) {
  for (auto& [path, file] : files_)
    if (Path(path).parent_path() == folder) file.name_durable = true;
  std::erase_if(removed_,
                [&](const auto& entry) { return Path(entry.first).parent_path() == folder; });
}

void Disaster::removes(const Path& path) {
  if (!real_files().exists(path)) return;
  const auto known = files_.find(path.string());
  // A file whose name was never durable does not come back.
  if (known == files_.end() || known->second.name_durable) {
    std::string bytes = content_of(path, 0, UINT64_MAX);
    if (known != files_.end())
      for (auto undo = known->second.undo.rbegin(); undo != known->second.undo.rend(); ++undo) {
        bytes.resize(std::max<std::size_t>(bytes.size(), undo->offset));
        bytes.replace(undo->offset, undo->bytes.size(), undo->bytes);
        bytes.resize(undo->size);
      }
    removed_[path.string()] = std::move(bytes);
  }
  files_.erase(path.string());
}

void Disaster::renamed(const Path& from, const Path& to) {
  files_[to.string()] = std::move(files_[from.string()]);
  files_.erase(from.string());
  folder_synced(to.parent_path());
}

void Disaster::lose_power() {
  for (const auto& [path, file] : files_) {
    if (!file.name_durable) {
      unlink(path.c_str());
      continue;
    }
    for (auto undo = file.undo.rbegin(); undo != file.undo.rend(); ++undo) {
      write_at(path, undo->offset, undo->bytes);
      if (truncate(path.c_str(), static_cast<off_t>(undo->size)) != 0) _exit(1);
    }
    // Memory shared by the processes of a machine does not outlive it.
    unlink((path + "-shm").c_str());
  }
  for (const auto& [path, bytes] : removed_)
    if (access(path.c_str(), F_OK) != 0) std::ofstream(path, std::ios::binary) << bytes;
}

namespace {

class FilesUnder final : public Files {
 public:
  explicit FilesUnder(Disaster& disaster) : disaster_(disaster) {}

  bool exists(const Path& path) override { return real_files().exists(path); }
  Result<std::uint64_t> size(const Path& path) override { return real_files().size(path); }
  Result<std::string> read(const Path& path) override { return real_files().read(path); }
  Result<std::string> read_range(const Path& path,
                                 std::uint64_t offset,
                                 std::uint64_t limit) override {
    return real_files().read_range(path, offset, limit);
  }
  Result<std::unique_ptr<MappedFile>> map(const Path& path) override {
    return real_files().map(path);
  }
  Result<std::vector<std::string>> list(const Path& folder) override {
    return real_files().list(folder);
  }

  Result<void> make_folders(const Path& folder) override {
    if (exists(folder)) return {};
    if (auto error = trouble(folder, true)) return *error;
    return real_files().make_folders(folder);
  }
  Result<bool> make_folder_exclusively(const Path& folder) override {
    if (auto error = trouble(folder, true)) return *error;
    return real_files().make_folder_exclusively(folder);
  }
  Result<void> write_whole(const Path& path, std::string_view bytes) override {
    if (auto error = trouble(path, true, bytes)) return *error;
    return real_files().write_whole(path, bytes);
  }
  Result<bool> write_exclusively(const Path& path, std::string_view bytes) override {
    if (auto error = trouble(path, true, bytes)) return *error;
    return real_files().write_exclusively(path, bytes);
  }
  Result<std::unique_ptr<AppendFile>> open_append(const Path& path) override {
    return real_files().open_append(path);
  }
  Result<void> truncate(const Path& path, std::uint64_t size) override {
    if (auto error = trouble(path, false)) return *error;
    disaster_.cuts(path, size);
    return real_files().truncate(path, size);
  }
  Result<void> rename(const Path& from, const Path& to) override {
    if (auto error = trouble(to, false)) return *error;
    Result<void> done = real_files().rename(from, to);
    if (done) disaster_.renamed(from, to);
    return done;
  }
  Result<void> sync(const Path& path) override {
    if (auto error = trouble(path, true)) return *error;
    disaster_.synced(path);
    disaster_.folder_synced(path);
    return {};
  }
  Result<void> remove_all(const Path& path) override {
    if (!exists(path)) return {};
    if (auto error = trouble(path, false)) return *error;
    disaster_.removes(path);
    return real_files().remove_all(path);
  }

 private:
  // The error of the misfortune, if it is here; a torn write leaves half a temporary file behind.
  std::optional<Error> trouble(const Path& path, bool needs_room, std::string_view bytes = {}) {
    switch (disaster_.before(needs_room)) {
      case Disaster::Verdict::go_on:
        return std::nullopt;
      case Disaster::Verdict::half:
        std::ofstream(path.string() + ".1.0.tmp") << bytes.substr(0, bytes.size() / 2);
        disaster_.end();
      case Disaster::Verdict::error:
        break;
    }
    return system_error("write", path, disaster_.error());
  }

  Disaster& disaster_;
};

}  // namespace

std::unique_ptr<Files> files_under(Disaster& disaster) {
  return std::make_unique<FilesUnder>(disaster);
}

}  // namespace ration::store
