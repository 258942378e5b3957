#pragma once

// The page of an experiment with fusion: losses by round, gains by corpus, arms with faults.

#include <string>

#include "report/page.h"
#include "study/fusion/tables.h"

namespace ration::study {

report::Page fusion_page(const std::string& name,
                         const FusionStudy& study,
                         const FusionFindings& found);

}  // namespace ration::study
