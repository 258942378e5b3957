#pragma once

// Distances and directions of models, as tables and as a page.

#include <string>
#include <vector>

#include "region/gram.h"
#include "report/page.h"

namespace ration::cli {

using Cells = std::vector<std::vector<std::string>>;  // the first row is the heading

// A row a group of tensors: lengths, distances and cosines over all pairs of models.
Cells group_cells(const std::vector<region::Gram>& grams);
// Each model's length and its cosines with all.
Cells model_cells(const region::Gram& gram);

// Heat maps of distances and cosines, and the models in the plane. Of more than 64 models, single
// groups of tensors have their row of the table alone: their maps would make the page too large.
report::Page gram_page(const std::string& base, const std::vector<region::Gram>& grams);

}  // namespace ration::cli
