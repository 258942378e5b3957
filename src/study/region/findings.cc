#include "study/region/findings.h"

#include <algorithm>
#include <cmath>

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

tables::Cell cell(double value) { return std::isnan(value) ? tables::Cell() : tables::Cell(value); }

}  // namespace

Estimate plain(double value) { return {.value = value, .low = kNone, .high = kNone, .p = kNone}; }

Estimate tested(double value, double p) {
  return {.value = value, .low = kNone, .high = kNone, .p = p};
}

Estimate never_below_0(Estimate estimate) {
  estimate.low = std::max(estimate.low, 0.0);
  estimate.p = kNone;
  return estimate;
}

DataTable findings_table(const std::vector<Finding>& findings) {
  using tables::Type;
  DataTable table{.name = "tests",
                  .columns = {{"question", Type::text},
                              {"about", Type::text},
                              {"statistic", Type::text},
                              {"value", Type::real},
                              {"low", Type::real},
                              {"high", Type::real},
                              {"p", Type::real},
                              {"n", Type::whole},
                              {"remark", Type::text}},
                  .rows = {}};
  for (const Finding& finding : findings) {
    const Estimate& estimate = finding.estimate;
    table.rows.push_back({finding.question,
                          finding.about,
                          finding.statistic,
                          cell(estimate.value),
                          cell(estimate.low),
                          cell(estimate.high),
                          cell(estimate.p),
                          finding.n,
                          finding.remark});
  }
  return table;
}

}  // namespace ration::study
