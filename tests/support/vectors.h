#pragma once

#include <string>

#include "base/json.h"

namespace ration::test {

// Known answers: tests/vectors/<file>, or <file> in the folder that the environment variable
// RATION_VECTORS names. Throws when the file is missing or not JSON: a test without its vectors
// must not pass.
Json vectors(const std::string& file);

}  // namespace ration::test
