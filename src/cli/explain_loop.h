#pragma once

// What `ration explain` says of loops: why a run was chosen, and all decisions of a sweep's loop.

#include <optional>

#include "cli/command.h"
#include "loop/journal.h"
#include "store/store.h"

namespace ration::cli {

// The decision that a run was started by.
struct ChosenBy {
  std::string sweep;
  loop::Decision decision;
  loop::Pick pick;
};

// Nothing for a run that no loop has chosen.
Result<std::optional<ChosenBy>> chosen_by(const store::Reader& store, const std::string& run);
std::string to_text(const ChosenBy& by);
Json to_json(const ChosenBy& by);

// `ration explain --loop SWEEP`.
Result<int> explain_loop(const Arguments& arguments, const store::Reader& store);

}  // namespace ration::cli
