#pragma once

// What `ration region line` found, as text, as JSON and as a page.

#include <string>
#include <vector>

#include "cli/region_points.h"
#include "region/line.h"
#include "report/page.h"

namespace ration::cli {

struct LineAnswer {
  std::vector<double> alphas;
  PointLosses losses;                            // of the points at these alphas
  std::vector<region::Profile> profiles;         // of each corpus
  std::vector<region::LineIntervals> intervals;  // likewise
};

LineAnswer line_answer(std::vector<double> alphas, PointLosses losses);

std::string line_text(const LineAnswer& answer);
Json line_json(const LineAnswer& answer);
report::Page line_page(const LineAnswer& answer);

}  // namespace ration::cli
