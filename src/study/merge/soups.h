#pragma once

// Greedy soups of many subsets at once: one list of points a round, since starting a run costs more
// than a point does.

#include <string>
#include <vector>

#include "study/merge/points.h"
#include "study/merge/subsets.h"

namespace ration::study {

// For each subset and replica, [subset][replica], the models of its soup in the order of joining:
// from the best by mean loss over the subset's corpora on the half that chooses, each next one
// joins the average unless that makes it worse (merge/soup.h).
using MergeSoups = std::vector<std::vector<std::vector<std::string>>>;

Result<MergeSoups> greedy_soups(const MergeModels& models,
                                const std::vector<MergeSubset>& subsets,
                                const MergeEvaluate& evaluate);

}  // namespace ration::study
