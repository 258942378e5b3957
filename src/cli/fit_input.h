#pragma once

// Where the runs of a fit come from: a table of any origin, or the store.

#include <vector>

#include "cli/command.h"
#include "fit/table.h"
#include "store/store.h"

namespace ration::cli {

struct FitInput {
  std::vector<fit::Observation> runs;
  std::string source;                // a file's name, a sweep's name, or the store's folder
  std::string params_convention;     // as fit::Fit has it
  std::vector<std::string> notes;    // for people
  std::vector<std::string> run_ids;  // empty for a table
  bool from_store = false;
};

// The options that say which runs: --where, --drop-outliers, --column, --params, --store.
std::vector<Option> input_options();

// `argument`: a CSV file, a sweep's name or file, or empty for the whole store.
Result<FitInput> read_input(const Arguments& arguments, const std::string& argument);

// ROLE=NAME texts of --column as pairs; an error names a text without "=".
Result<std::vector<std::pair<std::string, std::string>>> parse_pairs(
    const std::string& option, const std::vector<std::string>& texts);

// N of a run's model under a fit's params_convention.
double counted_params(const run::RunSpec& spec, std::string_view convention);

// The fit of a file.
Result<fit::Fit> read_fit(const std::string& file);
// The newest fit of the store.
Result<fit::Fit> newest_fit(const Path& store);

}  // namespace ration::cli
