#include "git/raw_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "git/repository.h"

namespace ration::git {
namespace {

std::vector<std::string> words_of(std::string_view text, char separator) {
  std::vector<std::string> words;
  for (std::size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator)) {
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  words.emplace_back(text);
  return words;
}

// ":100644 100644 <id> <id> M"; of a merge of n parents n colons, n + 1 modes and n + 1 ids.
std::optional<FileChange> change_of(std::string_view line) {
  const std::size_t parents = std::min(line.find_first_not_of(':'), line.size());
  const std::vector<std::string> words = words_of(line.substr(parents), ' ');
  if (parents == 0 || words.size() != 2 * (parents + 1) + 1) return std::nullopt;
  const auto ids = words.begin() + static_cast<std::ptrdiff_t>(parents) + 1;
  FileChange change;
  change.before.assign(ids, ids + static_cast<std::ptrdiff_t>(parents));
  change.after = *(ids + static_cast<std::ptrdiff_t>(parents));
  change.status = words.back();
  return change;
}

Error unreadable(std::string_view field) {
  return {.kind = ErrorKind::internal,
          .what = fmt::format("git lists changes in an unknown form: \"{}\"", field)};
}

// Takes a change and its path from the fields at `at`.
Result<FileChange> take_change(const std::vector<std::string>& fields, std::size_t& at) {
  std::string_view line = fields[at];
  if (line.starts_with('\n')) line.remove_prefix(1);
  std::optional<FileChange> change = change_of(line);
  if (!change || at + 1 >= fields.size()) return unreadable(line);
  change->path = fields[at + 1];
  at += 2;
  return std::move(*change);
}

}  // namespace

bool is_zero(std::string_view id) { return id.find_first_not_of('0') == std::string_view::npos; }

Result<std::vector<FileChange>> parse_raw_diff(std::string_view output) {
  const std::vector<std::string> fields = fields_of(output);
  std::vector<FileChange> changes;
  for (std::size_t at = 0; at < fields.size();) {
    Result<FileChange> change = take_change(fields, at);
    if (!change) return std::move(change).error();
    changes.push_back(std::move(*change));
  }
  return changes;
}

Result<std::vector<CommitChange>> parse_raw_log(std::string_view output) {
  const std::vector<std::string> fields = fields_of(output);
  std::vector<CommitChange> commits;
  for (std::size_t at = 0; at < fields.size();) {
    const std::string& field = fields[at];
    if (field.empty()) {  // behind a commit without files
      ++at;
    } else if (field[0] == '\x01') {
      const std::vector<std::string> words = words_of(field.substr(1), '\x1f');
      if (words.size() < 3) return unreadable(field);
      commits.push_back({words[0], words[1], words[2], {}});
      ++at;
    } else {
      Result<FileChange> change = take_change(fields, at);
      if (!change) return std::move(change).error();
      if (commits.empty()) return unreadable(field);
      commits.back().files.push_back(std::move(*change));
    }
  }
  return commits;
}

}  // namespace ration::git
