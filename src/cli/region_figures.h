#pragma once

// Figures of losses in weight space, as Vega-Lite specifications.

#include <span>
#include <string>
#include <vector>

#include "region/line.h"
#include "report/page.h"

namespace ration::cli {

// Loss against alpha, a line a corpus, with marks at 0 and 1; `losses` [corpus, alpha]. Two
// figures: near both ends, and all of it on a logarithmic axis.
std::vector<report::Figure> line_figures(std::span<const double> alphas,
                                         const std::vector<std::string>& corpora,
                                         const std::vector<std::vector<double>>& losses);

// Loss between the models beyond the straight line from the one loss to the other, with its
// intervals; a line a corpus.
report::Figure excess_figure(const std::vector<std::string>& corpora,
                             const std::vector<region::LineIntervals>& intervals);

struct HullLosses {
  std::string corpus;
  std::vector<double> members, samples;
  double centroid = 0;
};

// Each loss as a stroke, a row a kind.
report::Figure hull_figure(const HullLosses& losses);

}  // namespace ration::cli
