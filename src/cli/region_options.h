#pragma once

// Options and inputs that the region commands share.

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/merge_options.h"
#include "region/gram.h"

namespace ration::cli {

// --base, --other-starts, --ignore, --resize and --threads; with `group`, --group, too.
std::vector<Option> region_options(bool group);

// The Gram matrices of these models around --base, which must be given. ErrorKind::input where the
// files of runs say that a model began elsewhere (unless --other-starts), where no tensor is left,
// and with `distinct` where two models are one file.
Result<std::vector<region::Gram>> grams_of(const Arguments& arguments,
                                           const std::vector<std::string>& models,
                                           bool distinct);

// Whether two paths lead to one file or folder.
bool same_place(const std::string& a, const std::string& b);

// The matrix that --group names.
Result<region::Gram> chosen_group(const Arguments& arguments, std::vector<region::Gram> grams);

// Places of the models that have a direction, from model `first` on; the others are told.
std::vector<std::size_t> moved_models(const region::Gram& gram,
                                      std::size_t first,
                                      const Console& console);

// Labels of models out of a CSV file with a column `model`.
struct Labels {
  std::vector<std::string> models;  // as the file names them, in its order
  std::vector<std::string> labels;  // of the column --by, or the first beside `model`
  std::vector<std::string> units;   // of the column --units; empty without it
  std::string by;                   // the label's column
};

// --labels and --by; with `units`, --units, too.
std::vector<Option> label_options(bool units);
// What --labels names; nothing without it. ErrorKind::input with file and line: no column `model`,
// columns that are not there, a model twice, empty labels and units, a unit with two labels; --by
// or --units without --labels.
Result<std::optional<Labels>> read_labels(const Arguments& arguments);
// Those of `models`, in their order; all models that have none are told.
Result<Labels> labels_of(const Labels& labels, const std::vector<std::string>& models);

// A number for a table: "-" for NaN.
std::string cell(double value, int decimals = 3);
// A number for JSON: null unless finite.
Json finite_or_null(double value);

}  // namespace ration::cli
