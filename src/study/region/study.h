#pragma once

// A study of regions in weight space, from the trained runs of a sweep file with [region] to
// tables, a page and an answer. What trains and evaluates is passed in.
//
//   Result<RegionStudy> study = study_regions(sweep, expand, store, files, work);
//   std::cout << markdown(region_answer(study->findings));
//
// Writes <store>/studies/<name>/{pairs,points,tests,centroid}.csv, the models that no training
// made below models/, and the sweep of the centroid's fine-tunings. Repeating it finds the runs of
// both done. Errors: those of the table and of its runs (usage), of data and weights (input), and
// of `work`.

#include <functional>
#include <string>
#include <vector>

#include "report/page.h"
#include "scheduler/sweep.h"
#include "study/region/centroid.h"
#include "study/region/findings.h"
#include "study/region/vectors.h"

namespace ration::study {

struct RegionWork {
  // Losses in the order of the list; `shape` is one of its models, `name` that of the sweep.
  std::function<Result<std::vector<eval::PointLoss>>(
      const Model& shape, const run::PointList& list, const std::string& name, std::size_t parts)>
      evaluate;
  std::function<Result<void>(const scheduler::Sweep& sweep)> train;
  WeightsOf weights_of;
};

struct RegionStudy {
  Path folder;
  std::vector<Finding> findings;
  report::Page page;
};

// What can be said before anything is trained: problems of the table and of its blocks.
Result<void> check_region_study(const scheduler::Sweep& sweep,
                                const scheduler::ExpandOptions& expand,
                                Files& files);

Result<RegionStudy> study_regions(const scheduler::Sweep& sweep,
                                  const scheduler::ExpandOptions& expand,
                                  const Path& store,
                                  Files& files,
                                  const RegionWork& work);

}  // namespace ration::study
