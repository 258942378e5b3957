#pragma once

// Which files changed, as `git diff --raw -z` and `git log -c --raw -z` list them.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::git {

struct FileChange {
  // Ids of blobs; one before, of a merge one a parent. Zeros: there is none, or it lies in the work
  // tree alone.
  std::vector<std::string> before;
  std::string after;
  std::string status;  // "A", "D", "M", "T", "U"; of a merge one letter a parent
  std::string path;    // from the top of the work tree
};

bool is_zero(std::string_view id);

// ErrorKind::internal for anything that git does not print.
Result<std::vector<FileChange>> parse_raw_diff(std::string_view output);

struct CommitChange {
  std::string id;
  std::string date;  // of the author, 2026-01-31
  std::string subject;
  std::vector<FileChange> files;
};

// What `git log` must be told, so that parse_raw_log() reads it.
inline const std::vector<std::string> kRawLog = {
    "log", "-c", "-z", "--raw", "--no-abbrev", "--no-renames", "--format=%x01%H%x1f%as%x1f%s"};

Result<std::vector<CommitChange>> parse_raw_log(std::string_view output);

}  // namespace ration::git
