#pragma once

// A second place for objects, from which other clones get them. Three kinds, chosen by the setting
// ration.remote:
//   git             hidden refs of the git server that the branches are pushed to: works with any,
//                   within its limits on the size of files
//   lfs             the server's git-lfs storage; hidden refs say which file is which object
//   directory PATH  a folder, as shared disks and mounted buckets are
// Objects travel as they are encoded, and never before the parents that they are encoded against:
// a remote that has an object has all that reading it needs.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "git/repository.h"
#include "versions/object_store.h"

namespace ration::git {

// Files done, of how many.
using TransferProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

class Remote {
 public:
  virtual ~Remote() = default;

  virtual std::string place() const = 0;  // for messages
  virtual Result<std::unordered_set<versions::ObjectId>> list() = 0;
  // The files of `ids`, parents before what builds on them; what was sent when it fails stays.
  virtual Result<void> send(const versions::ObjectStore& store,
                            std::span<const versions::ObjectId> ids,
                            const TransferProgress& progress) = 0;
  // Those of `ids` that it has, as files <folder>/<hex>.
  virtual Result<void> fetch(std::span<const versions::ObjectId> ids, const Path& folder) = 0;
};

// The name of the git remote that nobody named: that of the branch, or the only one, or "origin".
std::string usual_remote(const Repository& repository);

enum class Way { fetch, push };  // git may have an address for each

// The one that ration.remote names, beside the git remote `name` ("origin", or a URL). ErrorKind::
// usage where the setting is missing or wrong.
Result<std::unique_ptr<Remote>> open_remote(const Repository& repository,
                                            const std::string& name,
                                            Way way);

Result<std::unique_ptr<Remote>> directory_remote(const Path& folder);
Result<std::unique_ptr<Remote>> git_remote(const Repository& repository, const std::string& url);
Result<std::unique_ptr<Remote>> lfs_remote(const Repository& repository,
                                           const std::string& name,
                                           const std::string& url);

}  // namespace ration::git
