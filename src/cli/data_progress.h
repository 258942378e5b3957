#pragma once

#include "cli/command.h"
#include "data/progress.h"

namespace ration::cli {

// Shows how far work on text is, with its rate and the time left: ten times a second on a terminal,
// else once a minute. `console` must outlive the sink.
data::ProgressSink progress_to(const Console& console);

}  // namespace ration::cli
