#pragma once

// Where a file that is written in pieces will lie.

#include "base/files.h"

namespace ration::checkpoint {

// The file that writing to `path` creates or replaces: `path`, or what its symbolic links lead to.
// ErrorKind::usage for a folder, a device or a pipe, and where the folder of the file is missing;
// ErrorKind::resource where that folder may not be written to. Writes nothing.
Result<Path> output_file(const Path& path);

}  // namespace ration::checkpoint
