#pragma once

// One line of the price list out of its pairs. Private to the folder.

#include <vector>

#include "plan/remedies/pairs.h"

namespace ration::plan {

// Arms of one family share a curve; without a name an arm is its own.
inline const std::string& family_of(const PriceRow& row) {
  return row.family.empty() ? row.arm : row.family;
}

// A row, and what comparisons of rows need beyond it.
struct Priced {
  PriceRow row;
  const Pairs* pairs = nullptr;
  std::vector<double> worths;  // eta of every draw; of mixing alone
};

// Refit b of the law, for draw b; its best fit where it has none.
const fit::Coordinates& refit(const fit::Fit& fit, const fit::Coordinates& best, std::size_t draw);

// All but the adjusted p, its flag, `task_unique` and `pays`, which need other rows or runs.
Priced price_row(const fit::Fit& fit, const Pairs& pairs, const PriceOptions& options);

// U_eq by the score: the unique tokens at which the baseline's scores, made to rise with them and
// straight in ln U between, are `difference` above those at U_0. Nothing outside what was measured,
// or with scores at U_0 alone.
std::optional<Amount> task_unique(const Scores& scores,
                                  const Pairs& pairs,
                                  const PriceOptions& options);

}  // namespace ration::plan
