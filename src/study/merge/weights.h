#pragma once

// Models of a study that exist already, as a table [merge] names them. Private to the study of
// merging.

#include "study/merge/models.h"

namespace ration::study {

struct WeightModels {
  MergeModels models;      // all but `windows`
  std::vector<Path> data;  // of each corpus
};

// Relative paths start at the folder of the sweep file. A second model of the same corpus is its
// second replica. The settings of the model are those of the first run among the weights; of files
// alone, those that the table gives.
Result<WeightModels> models_of_weights(const MergeTable& table,
                                       const std::string& sweep_file,
                                       Files& files,
                                       const Path& store);

}  // namespace ration::study
