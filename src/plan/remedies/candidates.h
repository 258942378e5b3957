#pragma once

// Which remedies of a price list may be combined. Private to the folder.

#include <string>
#include <vector>

#include "plan/remedies/combine.h"

namespace ration::plan {

struct Candidates {
  std::vector<Combination> sets;          // the largest multiplier first
  std::optional<Combination> everything;  // of several arms, multiplied whatever was measured
  std::vector<const PriceRow*> rows;      // those that the sets are made of
  std::vector<std::string> left_out;      // why, one sentence each
};

// Of the rows nearest to a model size and a number of epochs.
Candidates candidates_of(const PriceList& list, double params, double epochs);

}  // namespace ration::plan
