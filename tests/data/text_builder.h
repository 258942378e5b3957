#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"

namespace ration::test {

// Lines of invented words, at least `bytes` of them; another seed gives another text over the same
// words.
std::string invented_text(std::uint64_t seed, std::size_t bytes);

// Writes <folder>/<path>, with the folders above it.
void write_text(const Path& folder, const std::string& path, std::string_view text);

// Writes doc-0.txt … of about 600 bytes each.
void write_documents(const Path& folder, int count);

}  // namespace ration::test
