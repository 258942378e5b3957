#pragma once

// attempt-<n>/verdict.json: how a run went on after an attempt that published no result. Policies
// are of the command that judged, so a rebuild could not come to it again.

#include <optional>
#include <string>

#include "base/files.h"
#include "store/writer.h"

namespace ration::scheduler {

struct RecordedVerdict {
  std::string token;        // of the attempt
  double ended = 0;         // UNIX seconds
  store::RunUpdate update;  // of its run
};

Result<void> write_verdict(Files& files, const Path& attempt, const RecordedVerdict& verdict);
// Nothing where there is none, or it cannot be used, or it is of another token.
std::optional<RecordedVerdict> read_verdict(Files& files,
                                            const Path& attempt,
                                            std::string_view token);

}  // namespace ration::scheduler
