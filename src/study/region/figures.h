#pragma once

// The figures of a region study.

#include <span>
#include <vector>

#include "report/page.h"
#include "study/region/hulls.h"
#include "study/region/lines.h"
#include "study/region/vectors.h"

namespace ration::study {

// Cosines of the models of the first start, ordered by family and corpus.
report::Figure cosine_figure(const RegionModels& models, const RegionVectors& vectors);
// Their distances in two dimensions.
report::Figure map_figure(const RegionModels& models, const RegionVectors& vectors);
// Loss along each line beyond that of its ends, by kind; marks at 0 and 1.
report::Figure lines_figure(std::span<const LineResult> lines);
// P(hull < …) of each region of a level, with both intervals.
report::Figure better_figure(const RegionTable& table,
                             std::span<const HullLosses> losses,
                             const std::string& level);
// Mean loss over three corpora of points between three models.
report::Figure triangle_figure(const RegionModels& models, const RegionLosses& losses);

}  // namespace ration::study
