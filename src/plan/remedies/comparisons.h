#pragma once

// What rows of a price list say together. Private to the folder.

#include <span>
#include <vector>

#include "plan/remedies/row.h"

namespace ration::plan {

std::vector<MixingCurve> mixing_curves(const fit::Fit& fit,
                                       std::span<const Priced> rows,
                                       const PriceOptions& options);
std::vector<Interaction> interactions(std::span<const Priced> rows, const PriceOptions& options);
// Of arms with several sizes; of each size the row with the most pairs, then the most epochs.
std::vector<Sizes> compare_sizes(std::span<const Priced> rows, const PriceOptions& options);
std::vector<Crossing> crossings(std::span<const Priced> rows, const PriceOptions& options);

}  // namespace ration::plan
