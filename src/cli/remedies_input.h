#pragma once

// From what a study measured (study/remedies/measures.h) to what a price list is made of.

#include <string>
#include <vector>

#include "cli/command.h"
#include "fit/fit.h"
#include "plan/remedies/price.h"
#include "study/remedies/measures.h"

namespace ration::cli {

// `name`: of a sweep in the store, a sweep's file, or a file ration.measured/1; empty = the only
// study of the store. ErrorKind::usage where there are several; ErrorKind::input where there is
// none.
Result<study::RemedyMeasures> read_measures(const Path& store, const std::string& name);

// The rows that the law is fitted to: those of plain repetition.
std::vector<fit::Observation> law_observations(const study::RemedyMeasures& measured);

// Runs and arms as price() takes them. U_0 is that of the baseline of the run's size, the same one
// where it has several; what a run kept of it, and what it added, is told with the run.
std::vector<plan::RemedyRun> remedy_runs(const study::RemedyMeasures& measured);
std::vector<plan::Arm> remedy_arms(const study::RemedyMeasures& measured);

}  // namespace ration::cli
