#include "fit/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "base/text.h"
#include "fit/loss_unit.h"
#include "fit/mixed_units.h"
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
      {"group", {}, false},
      {"loss_unit", {"loss_unit", "loss_units"}, false}};
  return all;
}

constexpr int kAbsent = -1;

struct Columns {
  int params = kAbsent, tokens = kAbsent, unique = kAbsent, loss = kAbsent, epochs = kAbsent;
  int weight = kAbsent, run = kAbsent, group = kAbsent, loss_unit = kAbsent;
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
           .hint = "params, tokens, unique_tokens, epochs, loss, weight, run, group or loss_unit"});
  std::array<int, 9> found{};
  const std::vector<std::string> names = csv.names();
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i] = find_role(csv, roles()[i], options, problems);
    if (found[i] == kAbsent) continue;
    const std::string& name = names[static_cast<std::size_t>(found[i])];
    if (std::count(names.begin(), names.end(), name) > 1)
      problems.push_back({.kind = ErrorKind::input,
                          .what = fmt::format("several columns are called \"{}\"", name),
                          .hint = "rename all but the one that is meant",
                          .where = csv.place(csv.header, static_cast<std::size_t>(found[i]))});
  }
  return {found[0], found[1], found[2], found[3], found[4], found[5], found[6], found[7], found[8]};
}

constexpr const char* kConvert =
    "`ration import` converts bits and perplexities; or take some rows with --where";

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

  double refuse(std::size_t cell, std::string what, std::string hint = {}) {
    problems_.push_back({.kind = ErrorKind::input,
                         .what = std::move(what),
                         .hint = std::move(hint),
                         .where = csv_.place(row_, cell)});
    return 0;
  }

  void nats(int column) {
    const auto cell = static_cast<std::size_t>(column);
    const std::string& text = row_.cells[cell].text;
    if (text.empty() || loss_unit_in(text) == LossUnit::nats) return;
    refuse(cell, fmt::format("the loss is in \"{}\", not in nats a token", text), kConvert);
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
  if (options.need_loss && columns.loss_unit != kAbsent) reader.nats(columns.loss_unit);

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

void check_loss_name(const Csv& csv, int column, std::vector<Error>& problems) {
  if (column == kAbsent) return;
  const CsvCell& name = csv.header.cells[static_cast<std::size_t>(column)];
  if (loss_unit_in(name.text).value_or(LossUnit::nats) == LossUnit::nats) return;
  problems.push_back({.kind = ErrorKind::input,
                      .what = fmt::format("column \"{}\" holds losses in {} by its name",
                                          name.text,
                                          name_of(*loss_unit_in(name.text))),
                      .hint = "laws are fitted to nats a token: `ration import` converts",
                      .where = csv.place(csv.header, static_cast<std::size_t>(column))});
}

// "lines 2 to 9 and 12"; at most eight stretches.
std::string lines_of(const Csv& csv, const RunTable& table) {
  std::vector<std::string> stretches;
  for (std::size_t i = 0; i < table.rows.size();) {
    std::size_t end = i + 1;
    while (end < table.rows.size() &&
           csv.rows[table.rows[end]].line == csv.rows[table.rows[end - 1]].line + 1)
      ++end;
    const int first = csv.rows[table.rows[i]].line, last = csv.rows[table.rows[end - 1]].line;
    if (stretches.size() == 8) {
      stretches.emplace_back("more");
      break;
    }
    stretches.push_back(first == last ? fmt::format("{}", first)
                                      : fmt::format("{} to {}", first, last));
    i = end;
  }
  const bool one = table.rows.size() == 1;
  return fmt::format("line{} {}", one ? "" : "s", fmt::join(stretches, ", "));
}

// Rows that a law shows to be in bits among nats, or in nats among bits.
Result<void> check_units(const Csv& csv, const RunTable& table) {
  const MixedUnits mixed = find_mixed_units(table.runs);
  if (mixed.places.empty()) return {};
  std::vector<Error> problems;
  for (const std::size_t i : mixed.places) {
    const CsvRow& row = csv.rows[table.rows[i]];
    problems.push_back(
        {.kind = ErrorKind::input,
         .what = fmt::format("a loss of {} lies 1.44 = 1/ln 2 times {} the law of the other runs: "
                             "in {} among {}?",
                             table.runs[i].loss.value,
                             mixed.bits ? "above" : "below",
                             mixed.bits ? "bits" : "nats",
                             mixed.bits ? "nats" : "bits"),
         .where = SourceRef{csv.file, row.line, 0, row.raw.substr(0, 160)}});
  }
  Error error = combine(std::move(problems), fmt::format("{} mixes units of loss", csv.file));
  error.hint = "convert them; where all are nats, a column loss_unit that says so ends this check";
  return error;
}

}  // namespace

Result<void> check_for_fit(const Csv& csv, const RunTable& table) {
  const std::vector<Observation>& runs = table.runs;
  const bool one_run =
      runs.size() == 1 ||
      (!runs.front().run.empty() && std::all_of(runs.begin(), runs.end(), [&](const auto& run) {
        return run.run == runs.front().run;
      }));
  const auto problem = [&](std::string what, std::string hint) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} ({} of {})", what, lines_of(csv, table), csv.file),
                 .hint = std::move(hint)};
  };
  if (one_run)
    return problem(runs.size() == 1
                       ? std::string("one run is too few to fit a law")
                       : fmt::format("one run is too few to fit a law: all rows belong to \"{}\"",
                                     runs.front().run),
                   "add runs that differ in parameters, tokens and unique tokens");
  if (std::all_of(
          runs.begin(), runs.end(), [&](const auto& run) { return run.loss == runs.front().loss; }))
    return problem(fmt::format("all {} losses equal {}", runs.size(), runs.front().loss.value),
                   "is the loss column the right one?");

  std::vector<double> losses;
  for (const Observation& run : runs) losses.push_back(run.loss.value);
  std::vector<Error> problems;
  const bool checkpoints =
      std::any_of(runs.begin(), runs.end(), [](const auto& run) { return !run.run.empty(); });
  std::vector<std::size_t> suspects =
      perplexities_among(losses, checkpoints ? kHighestNats : kHighestFinal);
  const bool mixed = !suspects.empty();
  if (!mixed)
    for (std::size_t i = 0; i < losses.size(); ++i)
      if (losses[i] > kHighestNats) suspects.push_back(i);
  for (const std::size_t i : suspects) {
    const CsvRow& row = csv.rows[table.rows[i]];
    problems.push_back({.kind = ErrorKind::input,
                        .what = fmt::format(
                            "a loss of {} {}: a perplexity? (its logarithm is {:.4g})",
                            losses[i],
                            mixed ? "among losses in nats" : "is more nats than any vocabulary has",
                            std::log(losses[i])),
                        .hint = kConvert,
                        .where = SourceRef{csv.file, row.line, 0, row.raw.substr(0, 160)}});
  }
  if (problems.empty()) {
    if (checkpoints || table.units_said) return {};
    return check_units(csv, table);
  }
  return combine(
      std::move(problems),
      fmt::format(
          "{} {}", csv.file, mixed ? "mixes units of loss" : "holds losses that are not in nats"));
}

Result<RunTable> read_runs(const Csv& csv, const TableOptions& options) {
  std::vector<Error> problems;
  const Columns columns = find_columns(csv, options, problems);
  Result<RowFilter> filter = RowFilter::parse(options.where, csv);
  if (!filter) problems.push_back(filter.error());
  if (options.need_loss) check_loss_name(csv, columns.loss, problems);
  const int outlier = csv.find("outlier");
  if (options.drop_outliers && outlier == kAbsent)
    problems.push_back(no_column(csv, "--drop-outliers needs a column \"outlier\"", "outlier"));
  if (!problems.empty())
    return combine(std::move(problems), fmt::format("{} cannot be used", csv.file));

  RunTable table{.units_said = columns.loss_unit != kAbsent};
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
