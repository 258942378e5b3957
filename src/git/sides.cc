#include "git/sides.h"

#include <fmt/format.h>

#include "git/raw_diff.h"
#include "git/spool.h"

namespace ration::git {

using versions::Source;

Result<Source> source_of_blob(Repository& repository,
                              const versions::ObjectStore& store,
                              const std::string& id) {
  if (is_zero(id)) return Source::absent(store);
  Result<std::optional<std::string>> text = repository.blob(id);
  if (!text) return std::move(text).error();
  if (!*text)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("blob {} is missing, or too large to be read", id),
                 .hint = "`git ration import` turns checkpoints in history into manifests"};
  if ((*text)->starts_with(versions::kManifestBegin)) {
    Result<versions::Manifest> manifest = versions::parse_manifest(**text);
    if (!manifest) return std::move(manifest).error().with_context("blob " + id);
    return Source(store, std::move(*manifest));
  }
  // The mapping stays when the file is gone.
  Spool spool(store.folder() / "tmp");
  if (Result<void> done = spool.append(**text); !done) return std::move(done).error();
  Result<Path> file = spool.path();
  if (!file) return std::move(file).error();
  return Source::open(store, *file, repository.settings().threads);
}

Result<Source> source_of_file(const Repository& repository,
                              const versions::ObjectStore& store,
                              const Path& path) {
  if (path == "/dev/null") return Source::absent(store);
  return Source::open(store, path, repository.settings().threads);
}

Result<std::vector<bool>> are_tracked(const Repository& repository,
                                      const std::vector<std::string>& paths) {
  Result<std::vector<std::string>> filters = repository.attribute("filter", paths);
  if (!filters) return std::move(filters).error();
  std::vector<bool> tracked;
  for (const std::string& filter : *filters) tracked.push_back(filter == "ration");
  return tracked;
}

}  // namespace ration::git
