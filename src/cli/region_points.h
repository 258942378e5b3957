#pragma once

// Losses of points between runs of a store, for the commands on lines and hulls.

#include <string>
#include <vector>

#include "cli/command.h"
#include "region/intervals.h"

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
  std::vector<std::int64_t> tokens;         // evaluated of each corpus, the same for all points
  std::vector<region::OfWindows> windows;   // [corpus][point, window], nats a token
};

// What the intervals of both commands are, in a sentence.
inline constexpr const char* kIntervalWords =
    "intervals resample the held-out windows, the same for all points: other text, these very runs";

// "0.12 to 0.34"; "-" where there is none.
std::string interval_cell(const region::Interval& interval, int decimals);
// [low, high]; null where there is none.
Json interval_json(const region::Interval& interval);

// "4096 held-out tokens of prose and 512 of code".
std::string tokens_text(const PointLosses& losses);

// --data, --windows, --store, --trainer, --jobs and --page.
std::vector<Option> point_options();

// Evaluates the points of the runs that the positional arguments name (unique beginnings of
// run-ids, or their folders), by runs of the scheduler in the store. `kind` becomes part of their
// sweep's name. The same call again reads the losses that are there. ErrorKind::input before
// anything is written: runs of two kinds of model, data of another tokenizer than the runs', a
// --page whose folder is none.
Result<PointLosses> losses_of_points(const Arguments& arguments,
                                     const std::string& kind,
                                     const std::vector<RegionPoint>& points);

}  // namespace ration::cli
