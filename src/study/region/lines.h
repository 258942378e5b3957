#pragma once

// What losses along lines between models say: barriers, and what lies beyond the ends.

#include <string>
#include <vector>

#include "study/region/findings.h"
#include "study/region/points.h"

namespace ration::study {

struct LineResult {
  std::string kind;
  std::vector<double> losses;  // mean over the pair's corpora, one for each of line_alphas()
  double barrier = 0;          // nats a token; region::profile
  double middle = 0;           // loss at 1/2 minus the mean of the ends; below 0 is a valley
  double gain = 0;             // the better end's loss minus the least in between, 0 or above
  double beyond = 0;           // mean loss at alpha -1 and 2 minus that of the ends
};

std::vector<LineResult> line_results(std::span<const LinePair> lines, const RegionLosses& losses);

// Of each kind, in its order: mean barrier, middle, gain and loss beyond the ends; intervals over
// pairs. Barrier and gain cannot be below 0 and have no p.
std::vector<Finding> line_findings(const RegionTable& table, std::span<const LineResult> lines);

}  // namespace ration::study
