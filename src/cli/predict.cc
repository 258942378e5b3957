#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/fit_input.h"
#include "fit/average.h"
#include "fit/jsonl.h"

namespace ration::cli {
namespace {

struct Predicted {
  fit::Csv csv;
  fit::RunTable table;
  std::vector<fit::Prediction> predictions;
  std::vector<fit::Prediction> averages;  // where several laws or minima are within reach
};

Result<Predicted> predict_table(const Arguments& arguments, const fit::Fit& fit) {
  const std::string& file = arguments.positional[1];
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<fit::Csv> csv = fit::parse_table(*text, file);
  if (!csv) return std::move(csv).error();
  auto columns = parse_pairs("column", arguments.all("column"));
  if (!columns) return std::move(columns).error();
  Result<fit::RunTable> table = fit::read_runs(
      *csv,
      {.columns = *columns, .where = arguments.text("where").value_or(""), .need_loss = false});
  if (!table) return std::move(table).error();
  fit::Points points;
  for (const fit::Observation& run : table->runs) points.add(run.params, run.tokens, run.unique);
  Predicted predicted{std::move(*csv), std::move(*table), fit::predict(fit, points), {}};
  const fit::Average average = fit::average_of(fit);
  if (average.modes.size() > 1) predicted.averages = fit::predict(average, points, fit.interval);
  return predicted;
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{}", *value) : std::string();
}

std::string numbers(const fit::Prediction& p) {
  return fmt::format("{},{},{}", p.value, number(p.low), number(p.high));
}

std::string as_csv(const Predicted& predicted) {
  const auto line = [](const fit::CsvRow& row) {
    std::string text;
    for (const fit::CsvCell& cell : row.cells) text += fit::csv_cell(cell.text) + ",";
    return text;
  };
  const bool averaged = !predicted.averages.empty();
  std::string text = line(predicted.csv.header) + "predicted_loss,low,high" +
                     (averaged ? ",average_loss,average_low,average_high\n" : "\n");
  for (std::size_t i = 0; i < predicted.predictions.size(); ++i) {
    const fit::Prediction& p = predicted.predictions[i];
    text += line(predicted.csv.rows[predicted.table.rows[i]]) + numbers(p);
    if (averaged) text += "," + numbers(predicted.averages[i]);
    text += '\n';
  }
  return text;
}

Json as_json(const Predicted& predicted, const fit::Fit& fit) {
  const auto optional = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  Json rows = Json::array();
  for (std::size_t i = 0; i < predicted.predictions.size(); ++i) {
    const fit::Observation& run = predicted.table.runs[i];
    const fit::Prediction& p = predicted.predictions[i];
    rows.push_back({{"line", predicted.csv.rows[predicted.table.rows[i]].line},
                    {"params", run.params.value},
                    {"tokens", run.tokens.value},
                    {"unique_tokens", run.unique.value},
                    {"predicted_loss", p.value},
                    {"low", optional(p.low)},
                    {"high", optional(p.high)}});
    if (predicted.averages.empty()) continue;
    const fit::Prediction& average = predicted.averages[i];
    rows.back()["average"] = {{"predicted_loss", average.value},
                              {"low", optional(average.low)},
                              {"high", optional(average.high)}};
  }
  return {{"schema", "ration.predict/1"},
          {"law", fit.law->name()},
          {"interval", fit.interval},
          {"rows", std::move(rows)}};
}

Result<int> run_predict(const Arguments& arguments) {
  Result<fit::Fit> fit = read_fit(arguments.positional[0]);
  if (!fit) return std::move(fit).error();
  if (!fit->trusted() && !arguments.flag("force")) return fit::untrusted(*fit);
  Result<Predicted> predicted = predict_table(arguments, *fit);
  if (!predicted) return std::move(predicted).error();

  const auto file = arguments.text("output");
  if (file) {
    Result<void> written = real_files().write_whole(*file, as_csv(*predicted));
    if (!written) return std::move(written).error();
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  if (arguments.console.json)
    arguments.console.print_json(as_json(*predicted, *fit));
  else if (!file)
    arguments.console.print(as_csv(*predicted));
  return 0;
}

}  // namespace

Command predict_command() {
  return {.name = "predict",
          .summary = "Add the loss that a fitted law predicts to a table of runs",
          .arguments = "FIT.json FILE.csv",
          .min_arguments = 2,
          .max_arguments = 2,
          .options =
              {{.name = "output",
                .value = "FILE",
                .help = "Write the table to a file instead of stdout.",
                .letter = 'o'},
               {.name = "where",
                .value = "EXPR",
                .help = "Rows to take: comparisons joined by \" and \", such as \"epochs<=20\"."},
               {.name = "column",
                .value = "ROLE=NAME",
                .help = "Column for params, tokens, unique_tokens or epochs, where its name is not "
                        "found by itself.",
                .repeatable = true},
               {.name = "force", .help = "Use a fit that is not to be trusted."}},
          .description =
              "The columns predicted_loss, low and high are added; the interval is that of "
              "the law's value, the\nnoise of a single run not included. Of a fit by --law auto, "
              "or with several minima, the\ncolumns average_loss, average_low and "
              "average_high follow: the mean over laws and minima.",
          .execute = run_predict};
}

}  // namespace ration::cli
