#pragma once

// The one way to touch files from the rooms that must survive a crash: an interface with a real
// implementation, so that tests can inject a full disk or a kill at any operation. Files appear
// whole: write to a temporary name, sync, rename, sync the directory. A full disk, a read-only
// folder or an I/O error is ErrorKind::resource and names path and reason.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration {

using Path = std::filesystem::path;

// A file open for appending; each append is one write() to an O_APPEND descriptor.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  virtual Result<void> append(std::string_view bytes) = 0;
  virtual Result<void> sync() = 0;  // data on the device when it returns
};

// A read-only mapping of a whole file.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::span<const std::byte> bytes() const = 0;
};

class Files {
 public:
  virtual ~Files() = default;

  virtual bool exists(const Path& path) = 0;
  virtual Result<std::uint64_t> size(const Path& path) = 0;
  virtual Result<std::string> read(const Path& path) = 0;
  // At most `limit` bytes from `offset`; fewer at the end of the file.
  virtual Result<std::string> read_range(const Path& path,
                                         std::uint64_t offset,
                                         std::uint64_t limit) = 0;
  virtual Result<std::unique_ptr<MappedFile>> map(const Path& path) = 0;
  // Names (not paths) in a folder, sorted by bytes. A missing folder is an error.
  virtual Result<std::vector<std::string>> list(const Path& folder) = 0;

  virtual Result<void> make_folders(const Path& folder) = 0;
  // False when the folder exists already: the claim went to another.
  virtual Result<bool> make_folder_exclusively(const Path& folder) = 0;
  // Replaces or creates `path` whole and durable.
  virtual Result<void> write_whole(const Path& path, std::string_view bytes) = 0;
  // Creates `path` whole and durable unless it exists; false when it does (the first writer wins).
  virtual Result<bool> write_exclusively(const Path& path, std::string_view bytes) = 0;
  virtual Result<std::unique_ptr<AppendFile>> open_append(const Path& path) = 0;
  virtual Result<void> truncate(const Path& path, std::uint64_t size) = 0;
  // Renames and makes the new name durable.
  virtual Result<void> rename(const Path& from, const Path& to) = 0;
  virtual Result<void> sync(const Path& file_or_folder) = 0;
  virtual Result<void> remove_all(const Path& path) = 0;
};

Files& real_files();

// "cannot <action> <path>: <reason of errno>" with a hint that fits the reason;
// ErrorKind::resource, or ErrorKind::input for a path that does not exist.
Error system_error(const std::string& action, const Path& path, int error_number);

}  // namespace ration
