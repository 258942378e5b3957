#pragma once

// What the last lines of a log tell about why a program ended, where its exit status does not.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "store/states.h"

namespace ration::scheduler {

// The last `bytes` of a file; empty when it cannot be read.
std::string tail_of(Files& files, const Path& file, std::uint64_t bytes);

// Lines at the end of a worker's log, oldest first.
std::vector<std::string> last_words(Files& files, const Path& log, std::size_t lines);

// A full disk, memory of the host, or a machine or GPU that failed: words of the system, of
// slurmstepd, of CUDA and of our supervisor. Nothing for any other text.
std::optional<store::FailureClass> class_in_words(std::string_view text);

// Words of the kernel, slurmstepd or our supervisor about memory of the host.
bool speaks_of_memory(std::string_view text);

}  // namespace ration::scheduler
