#include "git/manifests.h"

#include <fmt/format.h>

#include <charconv>
#include <unordered_set>

namespace ration::git {
namespace {

// Shorter than any manifest.
constexpr std::uint64_t kShortest = 80;

template <class Take>
void each_part(std::string_view text, char separator, const Take& take) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    take(part);
  }
}

// Reads the blob if it may be a manifest.
Result<void> look(Repository& repository,
                  std::string_view blob,
                  std::string_view path,
                  std::vector<FoundManifest>& found) {
  Result<std::optional<std::string>> text =
      repository.blob(blob, versions::kLongestManifest, versions::kManifestBegin);
  if (!text) return std::move(text).error();
  if (!*text) return {};
  // One that was merged by hand, say, is text like any other.
  Result<versions::Manifest> manifest = versions::parse_manifest(**text);
  if (manifest) found.push_back({std::string(path), std::move(*manifest)});
  return {};
}

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Of lines "<id> <anything>", the ids of blobs that are as long as manifests are.
Result<std::unordered_set<std::string>> likely(const Repository& repository,
                                               std::string_view lines) {
  std::string ids;
  each_part(lines, '\n', [&](std::string_view line) {
    ids += std::string(line.substr(0, line.find(' '))) + "\n";
  });
  Result<std::string> answer =
      repository.ask({"cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"}, ids);
  if (!answer) return std::move(answer).error();
  std::unordered_set<std::string> blobs;
  each_part(*answer, '\n', [&](std::string_view line) {
    const std::size_t blob = line.find(" blob ");
    if (blob == std::string_view::npos) return;
    const std::uint64_t size = number_of(line.substr(blob + 6));
    if (size >= kShortest && size <= versions::kLongestManifest)
      blobs.emplace(line.substr(0, blob));
  });
  return blobs;
}

}  // namespace

Result<std::vector<FoundManifest>> manifests_of_tree(Repository& repository,
                                                     const std::string& revision) {
  Result<std::string> tree = repository.ask(
      {"ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", revision});
  if (!tree) return std::move(tree).error();
  std::vector<FoundManifest> found;
  Result<void> failed;
  // "<mode> blob <id> <size, padded>\t<path>"
  each_part(*tree, '\0', [&](std::string_view entry) {
    const std::size_t blob = entry.find(" blob ");
    const std::size_t tab = entry.find('\t');
    if (!failed || blob == std::string_view::npos || tab == std::string_view::npos) return;
    std::string_view rest = entry.substr(blob + 6, tab - blob - 6);
    const std::string_view id = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ', id.size())));
    const std::uint64_t size = number_of(rest);
    if (size >= kShortest && size <= versions::kLongestManifest)
      failed = look(repository, id, entry.substr(tab + 1), found);
  });
  if (!failed) return std::move(failed).error();
  return found;
}

Result<std::vector<FoundManifest>> manifests_of_commits(Repository& repository,
                                                        const std::vector<std::string>& words) {
  std::vector<std::string> command = {"rev-list", "--objects"};
  command.insert(command.end(), words.begin(), words.end());
  Result<std::string> listed = repository.ask(command);
  if (!listed) return std::move(listed).error();
  const Result<std::unordered_set<std::string>> blobs = likely(repository, *listed);
  if (!blobs) return blobs.error();
  std::vector<FoundManifest> found;
  Result<void> failed;
  each_part(*listed, '\n', [&](std::string_view line) {
    const std::string id(line.substr(0, line.find(' ')));
    if (!failed || !blobs->contains(id)) return;
    failed = look(repository, id, line.substr(std::min(line.size(), id.size() + 1)), found);
  });
  if (!failed) return std::move(failed).error();
  return found;
}

Result<std::vector<FoundManifest>> all_manifests(Repository& repository) {
  Result<std::string> all =
      repository.ask({"cat-file",
                      "--batch-all-objects",
                      "--unordered",
                      "--batch-check=%(objectname) %(objecttype) %(objectsize)"});
  if (!all) return std::move(all).error();
  std::vector<FoundManifest> found;
  Result<void> failed;
  each_part(*all, '\n', [&](std::string_view line) {
    const std::size_t blob = line.find(" blob ");
    if (!failed || blob == std::string_view::npos) return;
    const std::uint64_t size = number_of(line.substr(blob + 6));
    if (size >= kShortest && size <= versions::kLongestManifest)
      failed = look(repository, line.substr(0, blob), "", found);
  });
  if (!failed) return std::move(failed).error();
  return found;
}

}  // namespace ration::git
