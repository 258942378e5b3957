// Labels of models out of a CSV file.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "cli/region_options.h"
#include "fit/csv.h"

namespace ration::cli {
namespace {

Error refused(std::string what, std::string hint, std::optional<SourceRef> where = {}) {
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = std::move(hint),
          .where = std::move(where)};
}

Result<std::size_t> column_of(const fit::Csv& csv, const std::string& name) {
  const std::vector<std::string> names = csv.names();
  if (const int found = csv.find(name); found >= 0) return static_cast<std::size_t>(found);
  return refused(fmt::format("{} has no column \"{}\"", csv.file, name),
                 fmt::format("its columns are {}", fmt::join(names, ", ")));
}

// The column --by, or the first beside `model`.
Result<std::string> label_column(const fit::Csv& csv, const Arguments& arguments) {
  if (std::optional<std::string> by = arguments.text("by")) return *by;
  for (const std::string& name : csv.names())
    if (name != "model") return name;
  return refused(fmt::format("{} has no labels", csv.file),
                 "add a column beside `model`, such as `corpus`");
}

// A unit moves as a whole, so it has one label.
Result<void> check_units(const Labels& labels, const std::string& file) {
  std::map<std::string, std::string> label_of;
  for (std::size_t i = 0; i < labels.units.size(); ++i) {
    const auto [known, added] = label_of.try_emplace(labels.units[i], labels.labels[i]);
    if (!added && known->second != labels.labels[i])
      return refused(fmt::format("{}: unit \"{}\" is labelled both \"{}\" and \"{}\"",
                                 file,
                                 labels.units[i],
                                 known->second,
                                 labels.labels[i]),
                     "all models of a unit need one label; leave --units out to move each model "
                     "by itself");
  }
  return {};
}

}  // namespace

std::vector<Option> label_options(bool units) {
  std::vector<Option> options = {
      {.name = "labels",
       .value = "FILE",
       .help = "CSV file with a column `model`, which names models as they are named here, and "
               "columns of labels."},
      {.name = "by",
       .value = "COLUMN",
       .help = "The column of labels; the first beside `model` unless given."}};
  if (units)
    options.push_back(
        {.name = "units",
         .value = "COLUMN",
         .help = "Models with one word in this column move together when labels are permuted: the "
                 "corpus, where labels are families of corpora. Without it each moves alone."});
  return options;
}

Result<std::optional<Labels>> read_labels(const Arguments& arguments) {
  const std::optional<std::string> file = arguments.text("labels");
  if (!file) {
    for (const std::string name : {"by", "units"})
      if (arguments.text(name))
        return Error{.kind = ErrorKind::usage,
                     .what = fmt::format("--{} names a column of --labels, which is missing", name),
                     .hint = "give --labels FILE"};
    return std::optional<Labels>();
  }
  Result<std::string> text = real_files().read(*file);
  if (!text) return std::move(text).error();
  Result<fit::Csv> csv = fit::parse_csv(*text, *file);
  if (!csv) return std::move(csv).error();
  Labels labels;
  Result<std::string> by = label_column(*csv, arguments);
  if (!by) return std::move(by).error();
  labels.by = *by;
  const std::optional<std::string> units = arguments.text("units");
  Result<std::size_t> model = column_of(*csv, "model"), label = column_of(*csv, labels.by),
                      unit = column_of(*csv, units.value_or("model"));
  for (Result<std::size_t>* column : {&model, &label, &unit})
    if (!*column) return std::move(*column).error();
  for (const fit::CsvRow& row : csv->rows) {
    const std::string& name = row.cells[*model].text;
    if (std::find(labels.models.begin(), labels.models.end(), name) != labels.models.end())
      return refused(fmt::format("model \"{}\" has two rows", name),
                     "keep one of them",
                     csv->place(row, *model));
    if (row.cells[*label].text.empty())
      return refused(fmt::format("model \"{}\" has no {}", name, labels.by),
                     "fill it in, or leave the row out",
                     csv->place(row, *label));
    if (units && row.cells[*unit].text.empty())
      return refused(fmt::format("model \"{}\" has no {}", name, *units),
                     "fill it in, or leave the row out: models without a unit are not one unit",
                     csv->place(row, *unit));
    labels.models.push_back(name);
    labels.labels.push_back(row.cells[*label].text);
    if (units) labels.units.push_back(row.cells[*unit].text);
  }
  if (Result<void> one = check_units(labels, *file); !one) return std::move(one).error();
  return std::optional(std::move(labels));
}

Result<Labels> labels_of(const Labels& labels, const std::vector<std::string>& models) {
  Labels chosen{models, {}, {}, labels.by};
  std::vector<std::string> missing;
  for (const std::string& model : models) {
    const auto found = std::find(labels.models.begin(), labels.models.end(), model);
    if (found == labels.models.end()) {
      missing.push_back(model);
      continue;
    }
    const auto at = static_cast<std::size_t>(found - labels.models.begin());
    chosen.labels.push_back(labels.labels[at]);
    if (!labels.units.empty()) chosen.units.push_back(labels.units[at]);
  }
  if (!missing.empty())
    return refused(fmt::format("{} no label: {}",
                               missing.size() == 1 ? "a model has" : "models have",
                               fmt::join(missing, ", ")),
                   "add a row for each; the column `model` must name them as the command does");
  return chosen;
}

}  // namespace ration::cli
