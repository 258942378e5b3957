#pragma once

// What a study of merging leaves behind, as tables, a page and text.

#include <optional>
#include <string>
#include <vector>

#include "report/page.h"
#include "study/merge/claims.h"
#include "study/merge/mechanism.h"
#include "study/output.h"

namespace ration::study {

struct MergeReport {
  std::string name;  // of the study
  MergeTable table;
  MergeModels models;
  MergeOutcome outcome;
  std::vector<MergeSummary> summaries;
  std::vector<MergeClaim> claims;
  std::optional<MergeMechanism> mechanism;
};

// merges, losses, corpora, choices, recovered, tests and, where it was examined, mechanism.
std::vector<DataTable> merge_tables(const MergeReport& report);

report::Page merge_page(const MergeReport& report);

// R of the chosen and untuned hyper-parameters side by side, a row for each method and size.
report::Table recovered_table(const MergeReport& report);
report::Table claims_table(const MergeReport& report);
report::Table corpora_table(const MergeReport& report);
report::Table mechanism_table(const MergeReport& report);

// Sentences that the numbers demand: what was left out, what could not be told apart.
std::vector<std::string> merge_remarks(const MergeReport& report);

}  // namespace ration::study
