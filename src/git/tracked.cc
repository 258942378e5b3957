#include "git/tracked.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "versions/restore.h"

namespace ration::git {
namespace {

using versions::Manifest;
using versions::ManifestTensor;

Result<std::optional<Manifest>> manifest_at(Repository& repository, const std::string& name) {
  Result<std::optional<std::string>> text =
      repository.blob(name, versions::kLongestManifest, versions::kManifestBegin);
  if (!text) return std::move(text).error();
  if (!*text) return std::optional<Manifest>();
  Result<Manifest> manifest = versions::parse_manifest(**text);
  return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
}

Result<std::set<std::string>> names(const Repository& repository, std::vector<std::string> words) {
  Result<std::string> listed = repository.ask(std::move(words));
  if (!listed) return std::move(listed).error();
  const std::vector<std::string> fields = fields_of(*listed);
  return std::set<std::string>(fields.begin(), fields.end());
}

WorkFile look_at(const Path& path, bool modified) {
  if (!real_files().exists(path)) return WorkFile::gone;
  const Result<std::string> begin =
      real_files().read_range(path, 0, versions::kManifestBegin.size());
  if (begin && *begin == versions::kManifestBegin) return WorkFile::manifest;
  return modified ? WorkFile::modified : WorkFile::unmodified;
}

}  // namespace

TensorChanges changes_between(const Manifest* older, const Manifest& newer) {
  std::unordered_map<std::string_view, const ManifestTensor*> before;
  if (older != nullptr)
    for (const ManifestTensor& tensor : older->tensors) before.emplace(tensor.name, &tensor);
  TensorChanges changes;
  for (const ManifestTensor& tensor : newer.tensors) {
    const auto found = before.find(tensor.name);
    if (found == before.end()) {
      ++changes.added;
      continue;
    }
    changes.changed += *found->second == tensor ? 0U : 1U;
    before.erase(found);
  }
  changes.removed = before.size();
  const bool same_file = older != nullptr && older->file == newer.file;
  changes.other_bytes = changes.none() && !same_file;
  return changes;
}

Result<std::vector<TrackedFile>> tracked_files(Repository& repository) {
  Result<Path> top = repository.work_tree();
  if (!top) return std::move(top).error();
  Result<std::string> listed = repository.ask({"ls-files", "-z", "--cached", "--full-name"});
  if (!listed) return std::move(listed).error();
  std::vector<std::string> paths = fields_of(*listed);
  // One in a conflict is listed for each side.
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  Result<std::vector<std::string>> filters = repository.attribute("filter", paths);
  if (!filters) return std::move(filters).error();
  // Files whose times alone changed are compared, and told no more.
  if (Result<Answer> refreshed = repository.git({"update-index", "-q", "--refresh"}); !refreshed)
    return std::move(refreshed).error();
  const Result<std::set<std::string>> modified =
      names(repository, {"diff-files", "-z", "--name-only"});
  if (!modified) return modified.error();
  const Result<std::set<std::string>> conflicts =
      names(repository, {"diff", "-z", "--name-only", "--no-ext-diff", "--diff-filter=U"});
  if (!conflicts) return conflicts.error();

  std::vector<TrackedFile> files;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if ((*filters)[i] != "ration") continue;
    TrackedFile file{.path = paths[i]};
    Result<std::optional<Manifest>> index = manifest_at(repository, ":0:" + file.path);
    if (!index) return std::move(index).error();
    Result<std::optional<Manifest>> head = manifest_at(repository, "HEAD:" + file.path);
    if (!head) return std::move(head).error();
    file.index = std::move(*index);
    file.head = std::move(*head);
    file.work = conflicts->contains(file.path)
                    ? WorkFile::conflict
                    : look_at(*top / file.path, modified->contains(file.path));
    if (file.index) {
      Result<std::vector<versions::ObjectId>> missing =
          versions::missing_objects(repository.store(), *file.index);
      if (!missing) return std::move(missing).error();
      file.missing_objects = missing->size();
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace ration::git
