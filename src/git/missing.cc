#include "git/missing.h"

#include <algorithm>

#include "git/remote.h"
#include "git/transfer.h"
#include "versions/restore.h"

namespace ration::git {

Result<void> fetch_missing(const Repository& repository,
                           std::span<const versions::Manifest> manifests) {
  if (repository.settings().remote.empty()) return {};
  const versions::ObjectStore store = repository.store();
  const bool whole =
      std::all_of(manifests.begin(), manifests.end(), [&](const versions::Manifest& manifest) {
        const auto missing = missing_objects(store, manifest);
        return missing && missing->empty();
      });
  if (whole) return {};
  Result<std::unique_ptr<Remote>> remote =
      open_remote(repository, usual_remote(repository), Way::fetch);
  if (!remote) return std::move(remote).error();
  Result<Fetched> fetched = fetch_objects(store, **remote, manifests);
  if (!fetched) return std::move(fetched).error();
  return {};
}

}  // namespace ration::git
