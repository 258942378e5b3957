#pragma once

// Losses of points between runs of a store, for the commands on lines and hulls.

#include <string>
#include <vector>

#include "cli/command.h"

namespace ration::cli {

// sum w_i theta_i of the runs, in their order; without weights their mean.
struct RegionPoint {
  std::string name;
  std::vector<double> weights = {};
};

struct PointLosses {
  std::vector<std::string> runs;            // run-ids
  std::vector<std::string> corpora;         // the last parts of their folders
  std::vector<std::vector<double>> losses;  // [corpus, point], nats a token; NaN where none
  std::int64_t tokens = 0;                  // of each corpus, the same for all points
};

// --data, --windows, --store, --trainer, --jobs and --page.
std::vector<Option> point_options();

// Evaluates the points of the runs that the positional arguments name (unique beginnings of
// run-ids, or their folders), by runs of the scheduler in the store. `kind` becomes part of their
// sweep's name. The same call again reads the losses that are there.
Result<PointLosses> losses_of_points(const Arguments& arguments,
                                     const std::string& kind,
                                     const std::vector<RegionPoint>& points);

}  // namespace ration::cli
