#pragma once

// The page of a region study, and its short answer.

#include <string>
#include <vector>

#include "report/page.h"
#include "study/region/figures.h"

namespace ration::study {

// Findings in the order of their questions, with the figures that belong to them.
report::Page region_page(const std::string& name,
                         const RegionTable& table,
                         const RegionModels& models,
                         const std::vector<Finding>& findings,
                         std::vector<report::Figure> figures);

// The findings for all corpora together: rows of question, about, statistic, value, p, n and
// remark.
report::Table region_answer(const std::vector<Finding>& findings);

}  // namespace ration::study
