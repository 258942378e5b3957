#pragma once

#include <string>

#include "base/files.h"
#include "base/json.h"

namespace ration::test {

// Where known answers lie: tests/vectors, or what the environment variable RATION_VECTORS names.
Path vectors_folder();

// A file there. Throws when it is missing or not JSON: a test without its vectors must not pass.
Json vectors(const std::string& file);

}  // namespace ration::test
