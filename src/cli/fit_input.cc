#include "cli/fit_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/corpus_drift.h"
#include "cli/store_option.h"
#include "fit/fit_file.h"
#include "fit/jsonl.h"
#include "run/count.h"
#include "run/weights.h"

namespace ration::cli {
namespace {

// Settings that a law describes, or that replicas differ in. All others should be alike in one fit.
const std::set<std::string>& varied_by_design() {
  static const std::set<std::string> names = {
      "layers", "width", "heads", "mlp_width", "unique_tokens", "tokens", "seed", "subset_seed"};
  return names;
}

// Whether models of one shape agree in a setting that recipes scale with the shape.
bool follows_shape(const std::string& name, const std::vector<store::Observation>& rows) {
  if (name != "init_std" && name != "lr") return false;
  std::map<std::vector<run::Value>, run::Value> seen;
  return std::all_of(rows.begin(), rows.end(), [&](const store::Observation& row) {
    std::vector<run::Value> shape;
    for (const char* part : {"layers", "width", "heads", "mlp_width"})
      shape.push_back(run::get(row.spec, part));
    const run::Value value = run::get(row.spec, name);
    return seen.emplace(shape, value).first->second == value;
  });
}

std::vector<std::string> varied_settings(const std::vector<store::Observation>& rows) {
  std::vector<std::string> names;
  for (const run::Field& field : run::identity_fields()) {
    const bool varies = std::any_of(rows.begin(), rows.end(), [&](const store::Observation& row) {
      return run::get(row.spec, field.name) != run::get(rows.front().spec, field.name);
    });
    const std::string name(field.name);
    if (varies && !varied_by_design().contains(name) && !follows_shape(name, rows))
      names.push_back(name);
  }
  return names;
}

struct ParamsChoice {
  std::string_view word;        // of --params
  std::string_view convention;  // as stored in the fit
};
constexpr std::array<ParamsChoice, 3> kParamsChoices = {
    {{"head", "6nd_head"}, {"total", "6nd"}, {"block", "kaplan"}}};

double counted(const run::ParamCounts& counts, std::string_view convention) {
  if (convention == "kaplan") return counts.block;
  return convention == "6nd" ? counts.total : counts.block + counts.head;
}

Result<std::string> convention_of(const std::string& word) {
  std::vector<std::string> words;
  for (const ParamsChoice& choice : kParamsChoices) {
    if (choice.word == word) return std::string(choice.convention);
    words.emplace_back(choice.word);
  }
  std::string hint = did_you_mean(word, words);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--params: no count is called \"{}\"", word),
               .hint = hint.empty() ? "head, total or block" : hint};
}

Result<FitInput> read_table(const Arguments& arguments, const std::string& file) {
  if (arguments.text("params"))
    return Error{.kind = ErrorKind::usage,
                 .what = "--params is for runs of the store",
                 .hint = "in a table, --column params=NAME chooses the count"};
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<fit::Csv> csv = fit::parse_table(*text, file);
  if (!csv) return std::move(csv).error();
  auto columns = parse_pairs("column", arguments.all("column"));
  if (!columns) return std::move(columns).error();
  Result<fit::RunTable> table = fit::read_runs(*csv,
                                               {.columns = *columns,
                                                .where = arguments.text("where").value_or(""),
                                                .drop_outliers = arguments.flag("drop-outliers")});
  if (!table) return std::move(table).error();
  if (Result<void> usable = fit::check_for_fit(*csv, *table); !usable)
    return std::move(usable).error();

  FitInput input{.runs = std::move(table->runs),
                 .source = Path(file).filename().string(),
                 .params_convention = "as given"};
  if (table->several_rows > 0)
    input.notes.push_back(
        fmt::format("{} runs have several rows, which are taken as checkpoints: each run counts "
                    "once and is resampled whole",
                    table->several_rows));
  if (table->left_out > 0) input.notes.push_back(fmt::format("{} rows left out", table->left_out));
  if (table->outliers_kept > 0)
    input.notes.push_back(
        fmt::format("{} rows flagged as outliers are among the runs; "
                    "--drop-outliers leaves them out",
                    table->outliers_kept));
  return input;
}

Error no_runs(const Path& folder,
              const std::string& sweep,
              std::size_t diverged,
              std::size_t tuned) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{} holds no finished run{}{}{}",
                              folder.string(),
                              sweep.empty() ? "" : fmt::format(" of the sweep {}", sweep),
                              diverged > 0 ? fmt::format("; {} diverged", diverged) : "",
                              tuned > 0 ? fmt::format("; {} began with the weights of others, "
                                                      "which is no point of a law",
                                                      tuned)
                                        : ""),
          .hint = "`ration status` shows how far its runs are; `ration fit FILE.csv` fits a table"};
}

Result<FitInput> read_store(const Arguments& arguments, const std::string& sweep) {
  for (const char* name : {"where", "column", "drop-outliers"})
    if (arguments.text(name))
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("--{} is for tables, not for runs of the store", name),
                   .hint = "name a sweep to choose its runs"};
  const Path folder = arguments.text("store").value_or("");
  Result<std::string> convention = convention_of(arguments.text("params").value_or("head"));
  if (!convention) return std::move(convention).error();
  Result<store::Reader> reader = store::Reader::open(real_files(), folder);
  if (!reader) return std::move(reader).error();
  auto rows = reader->observations({.sweep = sweep, .include_diverged = true});
  if (!rows) return std::move(rows).error();

  const auto diverged = std::stable_partition(
      rows->begin(), rows->end(), [](const store::Observation& row) { return !row.diverged; });
  const auto lost = static_cast<std::size_t>(rows->end() - diverged);
  rows->erase(diverged, rows->end());
  const auto tuned = static_cast<std::size_t>(std::erase_if(
      *rows, [](const store::Observation& row) { return !run::trains_from_scratch(row.spec); }));
  if (rows->empty()) return no_runs(folder, sweep, lost, tuned);

  std::string unlooked;
  if (!arguments.flag("allow-corpus-drift")) {
    Result<std::string> drift = check_corpus_drift(folder, *rows);
    if (!drift) return std::move(drift).error();
    unlooked = *std::move(drift);
  }

  FitInput input{.source = sweep.empty() ? folder.string() : rows->front().sweep,
                 .params_convention = *convention,
                 .from_store = true};
  for (const store::Observation& row : *rows) {
    input.runs.push_back({.params = Params(counted(row.params, *convention)),
                          .tokens = Tokens(row.tokens),
                          .unique = Tokens(std::min(row.unique_tokens, row.tokens)),
                          .loss = Loss(row.final_loss),
                          .cell = row.cell});
    input.run_ids.push_back(row.run);
  }
  if (!unlooked.empty()) input.notes.push_back(std::move(unlooked));
  if (tuned > 0)
    input.notes.push_back(fmt::format(
        "{} left out that began with the weights of others: a law is of training from scratch",
        ration::counted(tuned, "run")));
  if (lost > 0)
    input.notes.push_back(fmt::format("{} diverged runs are not data points of a law", lost));
  if (const std::vector<std::string> varied = varied_settings(*rows); !varied.empty())
    input.notes.push_back(fmt::format(
        "the runs differ in {}, which no law describes; name a sweep to fit like with like",
        fmt::join(varied, ", ")));
  return input;
}

}  // namespace

double counted_params(const run::RunSpec& spec, std::string_view convention) {
  return counted(run::count_params(spec), convention);
}

std::vector<Option> input_options() {
  return {
      {.name = "where",
       .value = "EXPR",
       .help =
           "Rows of the table to take: comparisons joined by \" and \", such as \"split=fit and "
           "epochs<=20\"."},
      {.name = "drop-outliers", .help = "Leave out rows whose column outlier holds 1."},
      {.name = "column",
       .value = "ROLE=NAME",
       .help =
           "Column of the table for params, tokens, unique_tokens, epochs, loss, weight, run "
           "(rows of one run are its checkpoints), group (rows resampled together) or loss_unit, "
           "where its name is not found by itself.",
       .repeatable = true},
      {.name = "params",
       .value = "COUNT",
       .help = "Which parameters of stored runs count as N: head (layers and output head, the "
               "default: what each token is multiplied with), total, or block (layers alone)."},
      {.name = "allow-corpus-drift",
       .help = "Also fit runs whose data came from one fetched corpus in different versions."},
      store_option(),
  };
}

Result<std::vector<std::pair<std::string, std::string>>> parse_pairs(
    const std::string& option, const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& text : texts) {
    const std::size_t at = text.find('=');
    if (at == std::string::npos)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("--{}: \"{}\" has no \"=\"", option, text),
                   .hint = "write it as NAME=VALUE"};
    pairs.emplace_back(text.substr(0, at), text.substr(at + 1));
  }
  return pairs;
}

Result<FitInput> read_input(const Arguments& arguments, const std::string& argument) {
  const bool table = argument.ends_with(".csv") || argument.ends_with(".jsonl") ||
                     (real_files().exists(argument) && !argument.ends_with(".toml") &&
                      !argument.empty() && !std::filesystem::is_directory(argument));
  return table ? read_table(arguments, argument) : read_store(arguments, argument);
}

Result<fit::Fit> read_fit(const std::string& file) {
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<Json> document = parse_json(*text, file);
  if (!document) return std::move(document).error();
  return fit::fit_from_json(*document, file);
}

Result<fit::Fit> newest_fit(const Path& folder) {
  Result<store::Reader> reader = store::Reader::open(real_files(), folder);
  if (!reader) return std::move(reader).error();
  Result<std::optional<store::StoredFit>> stored = reader->newest_fit();
  if (!stored) return std::move(stored).error();
  if (!*stored)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no fit", folder.string()),
                 .hint = "`ration fit` makes one; or name a file with --fit"};
  return fit::fit_from_json((*stored)->fit.document, folder.string());
}

}  // namespace ration::cli
