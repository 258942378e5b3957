#pragma once

// Names that nobody else has, for attempts, jobs and holders of a store: 32 hex digits from the
// system's random source, new after a restart too.

#include <string>
#include <vector>

namespace ration {

// All from one read.
std::vector<std::string> random_tokens(std::size_t count);
std::string random_token();

}  // namespace ration
