#pragma once

// The table [stop] of a sweep file: rules that end runs before their time.

#include <optional>
#include <string>
#include <vector>

#include "scheduler/document.h"
#include "scheduler/foresight.h"
#include "scheduler/halving.h"
#include "scheduler/names.h"

namespace ration::scheduler {

struct HalvingRule {
  Halving halving = {};
  // Settings that runs must have in common to be compared. Their length, since the loss in the
  // middle of a schedule says nothing about one of another length.
  std::vector<std::string> bracket = {"tokens"};
};

struct ForesightRule {
  Foresight foresight = {};
  std::string fit = {};  // file of a fit, relative to the sweep's; empty: the store's
};

// Both are off unless the file asks for them.
struct StopRules {
  std::optional<HalvingRule> halving = {};
  std::optional<ForesightRule> predicted = {};

  bool any() const { return halving || predicted; }
};

// Reads the table; what cannot be used adds to `problems`.
StopRules read_stop_rules(const Node& stop,
                          const SourceText& source,
                          const Names& names,
                          Problems& problems);

}  // namespace ration::scheduler
