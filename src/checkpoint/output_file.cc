#include "checkpoint/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace ration::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as Linux follows

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

}  // namespace

Result<Path> output_file(const Path& path) {
  std::error_code code;
  Path file = path;
  // One by one: the last of them may lead to a file that is still to be made.
  for (int links = 0; fs::is_symlink(fs::symlink_status(file, code)); ++links) {
    const Path target = fs::read_symlink(file, code);
    if (code || links == kMostLinks)
      return usage(
          fmt::format("the output {} is a symbolic link that leads nowhere", path.string()),
          "name another file");
    file = target.is_absolute() ? target : file.parent_path() / target;
  }
  const fs::file_status status = fs::status(file, code);
  if (fs::is_directory(status))
    return usage(fmt::format("the output {} is a folder", path.string()), "name a file in it");
  if (fs::exists(status) && !fs::is_regular_file(status))
    return usage(fmt::format("the output {} is no regular file", path.string()),
                 "it would be replaced; name another file");
  const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
  if (!fs::is_directory(folder, code))
    return usage(
        fmt::format(
            "the folder {} of the output {} does not exist", folder.string(), path.string()),
        "make it, or name a file in another folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0) return system_error("write to", folder, errno);
  return file;
}

}  // namespace ration::checkpoint
