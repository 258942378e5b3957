#include "fit/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "base/text.h"
#include "fit/where.h"

namespace ration::fit {
namespace {

struct Role {
  std::string_view name;
  std::vector<std::string> synonyms;
  bool required = true;
};

const std::vector<Role>& roles() {
  static const std::vector<Role> all = {
      {"params", {"params", "parameters", "n_params", "model_params", "num_params", "n"}},
      {"tokens", {"tokens", "total_tokens", "training_tokens", "train_tokens", "tokens_seen", "d"}},
      {"unique_tokens", {"unique_tokens", "tokens_unique", "unique", "u"}, false},
      {"loss",
       {"loss",
        "val_loss",
        "validation_loss",
        "eval_loss",
        "final_loss",
        "loss_nats",
        "heldout_loss"}},
      {"epochs", {"epochs"}, false},
      {"weight", {"weight"}, false},
      {"run", {"run_id", "run"}, false},
      {"group", {}, false}};
  return all;
}

constexpr int kAbsent = -1;

struct Columns {
  int params = kAbsent, tokens = kAbsent, unique = kAbsent, loss = kAbsent, epochs = kAbsent;
  int weight = kAbsent, run = kAbsent, group = kAbsent;
};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return text;
}

int find_by_synonym(const Csv& csv, const Role& role) {
  for (const std::string& synonym : role.synonyms)
    for (std::size_t i = 0; i < csv.header.cells.size(); ++i)
      if (lower_case(csv.header.cells[i].text) == synonym) return static_cast<int>(i);
  return kAbsent;
}

Error no_column(const Csv& csv, std::string what, std::string_view wanted) {
  std::string hint = did_you_mean(wanted, csv.names());
  if (hint.empty()) hint = fmt::format("its columns: {}", fmt::join(csv.names(), ", "));
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = std::move(hint),
          .where = SourceRef{csv.file, csv.header.line, 1, csv.header.raw.substr(0, 160)}};
}

Error missing(const Csv& csv, const Role& role) {
  Error error = no_column(
      csv,
      fmt::format("no column for {}; looked for {}", role.name, fmt::join(role.synonyms, ", ")),
      role.name);
  for (const std::string& synonym : role.synonyms)
    if (const std::string hint = did_you_mean(synonym, csv.names());
        synonym.size() > 3 && !hint.empty())
      error.hint = hint;
  error.hint += fmt::format("; or name it: --column {}=NAME", role.name);
  return error;
}

int find_role(const Csv& csv,
              const Role& role,
              const TableOptions& options,
              std::vector<Error>& problems) {
  for (const auto& [wanted, name] : options.columns) {
    if (wanted != role.name) continue;
    const int column = csv.find(name);
    if (column == kAbsent)
      problems.push_back(
          no_column(csv, fmt::format("no column \"{}\" for {}", name, role.name), name));
    return column;
  }
  const int column = find_by_synonym(csv, role);
  const bool needed = role.required && (role.name != "loss" || options.need_loss);
  if (column == kAbsent && needed) problems.push_back(missing(csv, role));
  return column;
}

Columns find_columns(const Csv& csv, const TableOptions& options, std::vector<Error>& problems) {
  for (const auto& [wanted, name] : options.columns)
    if (std::none_of(
            roles().begin(), roles().end(), [&](const Role& role) { return role.name == wanted; }))
      problems.push_back(
          {.kind = ErrorKind::usage,
           .what = fmt::format("--column: nothing is called \"{}\"", wanted),
           .hint = "params, tokens, unique_tokens, epochs, loss, weight, run or group"});
  std::array<int, 8> found{};
  for (std::size_t i = 0; i < found.size(); ++i)
    found[i] = find_role(csv, roles()[i], options, problems);
  return {found[0], found[1], found[2], found[3], found[4], found[5], found[6], found[7]};
}

// Reads the numbers of one row; problems are collected, so that all of them are known in one pass.
class RowReader {
 public:
  RowReader(const Csv& csv, const CsvRow& row, std::vector<Error>& problems)
      : csv_(csv), row_(row), problems_(problems) {}

  // A finite number above 0, or 0 after a problem was noted.
  double positive(int column, std::string_view what) {
    const auto cell = static_cast<std::size_t>(column);
    const std::string& text = row_.cells[cell].text;
    double value = 0;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, code] = std::from_chars(begin, text.data() + text.size(), value);
    if (text.empty() || code != std::errc() || end != text.data() + text.size())
      return refuse(cell, fmt::format("{} \"{}\" is not a number", what, text));
    if (!std::isfinite(value)) return refuse(cell, fmt::format("{} is {}", what, text));
    if (value <= 0) return refuse(cell, fmt::format("{} {} is not above 0", what, text));
    return value;
  }

  double refuse(std::size_t cell, std::string what) {
    problems_.push_back(
        {.kind = ErrorKind::input, .what = std::move(what), .where = csv_.place(row_, cell)});
    return 0;
  }

 private:
  const Csv& csv_;
  const CsvRow& row_;
  std::vector<Error>& problems_;
};

// Unique tokens may exceed tokens by rounding when they are computed from epochs.
constexpr double kRounding = 1e-9;

Observation read_row(const Csv& csv,
                     const CsvRow& row,
                     const Columns& columns,
                     const TableOptions& options,
                     std::vector<Error>& problems) {
  RowReader reader(csv, row, problems);
  Observation run;
  run.params = Params(reader.positive(columns.params, "params"));
  run.tokens = Tokens(reader.positive(columns.tokens, "tokens"));
  run.unique = run.tokens;
  if (columns.unique != kAbsent)
    run.unique = Tokens(reader.positive(columns.unique, "unique tokens"));
  else if (columns.epochs != kAbsent)
    run.unique = run.tokens / reader.positive(columns.epochs, "epochs");
  if (columns.weight != kAbsent) run.weight = reader.positive(columns.weight, "weight");
  const auto text = [&](int column) {
    return column == kAbsent ? std::string() : row.cells[static_cast<std::size_t>(column)].text;
  };
  run.run = text(columns.run);
  run.cell = text(columns.group);
  if (options.need_loss) run.loss = Loss(reader.positive(columns.loss, "loss"));

  const bool too_many = run.unique.value > run.tokens.value * (1 + kRounding);
  if (too_many && run.tokens.value > 0 && std::isfinite(run.unique.value)) {
    const int place = columns.unique != kAbsent ? columns.unique : columns.epochs;
    reader.refuse(static_cast<std::size_t>(place),
                  fmt::format("{} unique tokens are more than the {} tokens seen",
                              run.unique.value,
                              run.tokens.value));
  }
  run.unique = std::min(run.unique, run.tokens);
  return run;
}

}  // namespace

Result<RunTable> read_runs(const Csv& csv, const TableOptions& options) {
  std::vector<Error> problems;
  const Columns columns = find_columns(csv, options, problems);
  Result<RowFilter> filter = RowFilter::parse(options.where, csv);
  if (!filter) problems.push_back(filter.error());
  const int outlier = csv.find("outlier");
  if (options.drop_outliers && outlier == kAbsent)
    problems.push_back(no_column(csv, "--drop-outliers needs a column \"outlier\"", "outlier"));
  if (!problems.empty())
    return combine(std::move(problems), fmt::format("{} cannot be used", csv.file));

  RunTable table;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const CsvRow& row = csv.rows[i];
    const bool flagged =
        outlier != kAbsent && row.cells[static_cast<std::size_t>(outlier)].text == "1";
    if (!filter->takes(row) || (flagged && options.drop_outliers)) {
      ++table.left_out;
      continue;
    }
    table.outliers_kept += flagged ? 1 : 0;
    table.runs.push_back(read_row(csv, row, columns, options, problems));
    table.rows.push_back(i);
  }
  if (!problems.empty())
    return combine(std::move(problems),
                   fmt::format("{} cells of {} cannot be used", problems.size(), csv.file));
  std::map<std::string, std::size_t> rows_of;
  for (const Observation& run : table.runs)
    if (!run.run.empty()) ++rows_of[run.run];
  for (Observation& run : table.runs)
    if (!run.run.empty() && rows_of[run.run] == 1) run.run.clear();  // a run of one row is itself
  table.several_rows = static_cast<std::size_t>(
      std::count_if(rows_of.begin(), rows_of.end(), [](const auto& r) { return r.second > 1; }));
  if (table.runs.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no run to use", csv.file),
                 .hint = table.left_out > 0
                             ? fmt::format("--where left out all {} rows", table.left_out)
                             : "the header is there, but no row follows"};
  return table;
}

}  // namespace ration::fit
