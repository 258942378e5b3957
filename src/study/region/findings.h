#pragma once

// One line of tests.csv: a statistic with its interval, and what it is about.

#include <limits>
#include <string>
#include <vector>

#include "study/output.h"
#include "study/statistics.h"

namespace ration::study {

struct Finding {
  std::string question;     // "corpus", "lines", "hull", …
  std::string about;        // a corpus, a kind of pairs, …; "all" for all together
  std::string statistic;    // with its unit where it has one
  Estimate estimate;        // NaN where there is no interval, or no p
  std::int64_t n = 0;       // independent units that the interval rests on
  std::string remark = {};  // what belongs to it: "3 wins, 4 ties, 1 loss"
  bool detail = false;      // of one corpus, beside another finding for all
};

// What cannot be below 0: its interval begins there at the lowest, and there is no test against 0.
Estimate never_below_0(Estimate estimate);
// A number without interval and test.
Estimate plain(double value);
// One with a p value alone.
Estimate tested(double value, double p);

// Columns question, about, statistic, value, low, high, p, n, remark.
DataTable findings_table(const std::vector<Finding>& findings);

}  // namespace ration::study
