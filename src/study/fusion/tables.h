#pragma once

// The findings of an experiment with fusion as tables (docs/formats.md), and in a few lines.

#include <string>
#include <vector>

#include "study/fusion/driver.h"
#include "study/output.h"

namespace ration::study {

DataTable rounds_table(const FusionFindings& found);  // a row a round, of every fusion
DataTable losses_table(const FusionFindings& found);
DataTable arms_table(const FusionStudy& study, const FusionFindings& found);
DataTable tests_table(const FusionFindings& found);

// The names of arms and controls, in the order in which they are shown; theta_0 first.
std::vector<std::string> arms_in_order(const FusionStudy& study);

// The mean of an arm's last losses over corpora and seeds; NaN where there is none.
double last_mean(const FusionFindings& found,
                 const std::string& arm,
                 Measure measure,
                 Corpora group);

// The test of this question, or null.
const FusionTest* find_test(const FusionFindings& found,
                            const std::string& question,
                            const std::string& arm,
                            const std::string& other,
                            Measure measure,
                            Corpora group);

// What a person wants to know first: gains over theta_0 and controls, slopes and faults, each with
// its interval. Markdown.
std::string fusion_answer(const FusionStudy& study, const FusionFindings& found);

// The document of --json.
Json fusion_json(const std::string& name, const FusionStudy& study, const FusionFindings& found);

}  // namespace ration::study
