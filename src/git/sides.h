#pragma once

// Versions of a checkpoint, as git names them: blobs that hold manifests, or files.

#include <string>

#include "git/repository.h"
#include "versions/source.h"

namespace ration::git {

// Of a blob; zeros are no file. A blob that holds no manifest, as history from before `git ration`
// has them, is read as the file that it is, up to 1 GiB. ErrorKind::input for a larger one and for
// damaged manifests.
Result<versions::Source> source_of_blob(Repository& repository,
                                        const versions::ObjectStore& store,
                                        const std::string& id);

// Of a file, which may hold a manifest; /dev/null is no file.
Result<versions::Source> source_of_file(const Repository& repository,
                                        const versions::ObjectStore& store,
                                        const Path& path);

// True for paths whose attribute `filter` is ration.
Result<std::vector<bool>> are_tracked(const Repository& repository,
                                      const std::vector<std::string>& paths);

}  // namespace ration::git
