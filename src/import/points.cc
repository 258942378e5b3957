#include "import/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "fit/where.h"
#include "import/number.h"

namespace ration::import {
namespace {

using fit::LossUnit;

const std::string& cell_of(const Table& table, std::size_t row, Role role) {
  static const std::string none;
  const Column& column = table.columns[role];
  return column ? table.source.csv.rows[row].cells[static_cast<std::size_t>(column.index)].text
                : none;
}

// Empty, as trackers write it: pandas prints a missing number as nan only where it prints Python's.
bool is_empty(const std::string& cell) {
  return cell.empty() || cell == "null" || cell == "None" || cell == "-";
}

class Cells {
 public:
  Cells(const Table& table, std::size_t row, std::vector<Error>& problems)
      : table_(table), row_(row), problems_(problems) {}

  // The number of a cell, to ones; nothing where it is empty or no number, which is a problem.
  std::optional<double> number(Role role) {
    const std::string& cell = cell_of(table_, row_, role);
    if (is_empty(cell)) return std::nullopt;
    const std::optional<WrittenNumber> number = parse_written(cell);
    if (!number) {
      const bool percent = role == Role::loss && cell.ends_with('%');
      refuse(role,
             percent ? fmt::format("loss {} is a percentage, not a cross-entropy", cell)
                     : fmt::format("{} \"{}\" is not a number", name_of(role), cell));
      return std::nullopt;
    }
    return number->with_unit ? number->value : number->value * table_.columns[role].scale;
  }

  void refuse(Role role, std::string what, std::string hint = {}) {
    problems_.push_back({.kind = ErrorKind::input,
                         .what = std::move(what),
                         .hint = std::move(hint),
                         .where = table_.place(row_, role)});
  }

 private:
  const Table& table_;
  std::size_t row_;
  std::vector<Error>& problems_;
};

double in_nats(double value, LossUnit unit, double bytes_per_token) {
  switch (unit) {
    case LossUnit::nats:
      return value;
    case LossUnit::bits:
      return value * std::numbers::ln2;
    case LossUnit::nats_per_byte:
      return value * bytes_per_token;
    case LossUnit::bits_per_byte:
      return value * std::numbers::ln2 * bytes_per_token;
    case LossUnit::perplexity:
      return std::log(value);
  }
  return value;
}

bool a_byte(LossUnit unit) {
  return unit == LossUnit::nats_per_byte || unit == LossUnit::bits_per_byte;
}

void read_loss(const Table& table, const PointOptions& options, Cells& cells, Point& point) {
  const Column& column = table.columns[Role::loss];
  const std::optional<double> value = cells.number(Role::loss);
  if (!value) return;
  LossUnit unit = column.loss_unit;
  if (column.unit_by_row) {
    const std::string& word = cell_of(table, point.row, Role::loss_unit);
    const std::optional<LossUnit> said = fit::loss_unit_in(word);
    if (!said) return cells.refuse(Role::loss_unit, fmt::format("\"{}\" is no unit of loss", word));
    unit = *said;
  }
  if (a_byte(unit) && !options.bytes_per_token) return;  // said once for the table
  point.raw_loss = *value;
  point.loss = in_nats(*value, unit, options.bytes_per_token.value_or(1));
}

// Rows whose loss_unit differs from that of most rows; none where the table says one unit.
void refuse_mixed_units(Table& table,
                        const std::vector<std::size_t>& rows,
                        std::vector<Error>& problems) {
  Column& loss = table.columns[Role::loss];
  if (!table.columns[Role::loss_unit] || loss.unit_told) return;
  std::map<LossUnit, std::size_t> counts;
  for (const std::size_t row : rows)
    if (const auto unit = fit::loss_unit_in(cell_of(table, row, Role::loss_unit))) ++counts[*unit];
  if (counts.empty()) return;
  const LossUnit usual =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
        return a.second < b.second;
      })->first;
  for (const std::size_t row : rows) {
    const std::string& word = cell_of(table, row, Role::loss_unit);
    if (const auto unit = fit::loss_unit_in(word); unit == usual || word.empty()) continue;
    problems.push_back(
        {.kind = ErrorKind::input,
         .what = fmt::format("mixed units of loss: \"{}\" among {}", word, fit::name_of(usual)),
         .hint = "--unit loss=column converts each row by its own unit",
         .where = table.place(row, Role::loss_unit)});
  }
  // One unit for all rows is what the table says, whatever its column is called.
  loss.loss_unit = usual;
  for (Guess& guess : table.columns.guesses)
    if (guess.role == "loss") {
      guess.unit = fit::name_of(usual);
      guess.text = fmt::format(
          "column {}: in {}, as its column {} says",
          guess.column,
          fit::name_of(usual),
          table.source.csv.names()[static_cast<std::size_t>(table.columns[Role::loss_unit].index)]);
    }
}

// A column whose name says nothing and whose values are all too high for nats.
void guess_perplexity(Table& table) {
  Column& column = table.columns[Role::loss];
  if (!column || column.unit_told || column.loss_unit != LossUnit::nats) return;
  const std::string name = table.source.csv.names()[static_cast<std::size_t>(column.index)];
  if (fit::loss_unit_in(name)) return;
  double lowest = HUGE_VAL;
  for (std::size_t row = 0; row < table.source.csv.rows.size(); ++row)
    if (const auto value = parse_written(cell_of(table, row, Role::loss))) {
      if (!std::isfinite(value->value)) return;
      lowest = std::min(lowest, value->value);
    }
  if (!(lowest > fit::kHighestNats) || !std::isfinite(lowest)) return;
  column.loss_unit = LossUnit::perplexity;
  for (Guess& guess : table.columns.guesses)
    if (guess.role == "loss") {
      guess.unit = "perplexity";
      guess.text = fmt::format(
          "column {}: no value below {:.4g}, more nats than any vocabulary has; taken as "
          "perplexity, loss = ln(value); say --unit loss=nats otherwise",
          name,
          lowest);
    }
}

bool varies(const Table& table, Role role) {
  std::set<std::string> values;
  for (std::size_t row = 0; row < table.source.csv.rows.size(); ++row)
    if (const std::string& cell = cell_of(table, row, role); !is_empty(cell)) values.insert(cell);
  return values.size() > 1;
}

bool repeats_runs(const Table& table) {
  std::set<std::string> names;
  for (std::size_t row = 0; row < table.source.csv.rows.size(); ++row)
    names.insert(cell_of(table, row, Role::run));
  return names.size() < table.source.csv.rows.size();
}

bool is_history(const Table& table) {
  if (table.source.shape != Shape::unknown) return table.source.shape == Shape::history;
  if (!table.columns[Role::step]) return false;
  if (table.columns[Role::run]) return repeats_runs(table);
  return table.source.csv.rows.size() > 1 && !varies(table, Role::params);
}

const std::set<std::string>& states_of_no_result() {
  static const std::set<std::string> states = {
      "crashed", "failed", "killed", "running", "pending", "preempted", "preempting"};
  return states;
}

bool is_unfinished(const Table& table, std::size_t row) {
  std::string state = cell_of(table, row, Role::state);
  std::transform(state.begin(), state.end(), state.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return states_of_no_result().contains(state);
}

std::string run_name(const Table& table, std::size_t row) {
  const std::string& name = cell_of(table, row, Role::run);
  if (!name.empty()) return name;
  if (table.history) return table.source.run;
  const int line = table.source.csv.rows[row].line;
  return line > 0 ? fmt::format("{}:{}", table.source.run, line)
                  : fmt::format("{}#{}", table.source.run, row + 1);
}

}  // namespace

SourceRef Table::place(std::size_t row, Role role) const {
  const fit::CsvRow& place = source.csv.rows[row];
  const Column& column = columns[role];
  if (column && place.line > 0 && place.cells[static_cast<std::size_t>(column.index)].column > 0)
    return source.csv.place(place, static_cast<std::size_t>(column.index));
  return {source.csv.file, place.line, 0, place.raw.substr(0, 160)};
}

Result<Table> describe(Source source, const PointOptions& options) {
  Table table{.source = std::move(source)};
  fit::Csv& csv = table.source.csv;
  Result<fit::RowFilter> filter = fit::RowFilter::parse(options.where, csv);
  if (!filter) return std::move(filter).error();
  const std::size_t before = csv.rows.size();
  std::erase_if(csv.rows, [&](const fit::CsvRow& row) { return !filter->takes(row); });
  table.left_out = before - csv.rows.size();
  table.columns = find_columns(csv, options.columns);
  table.history = is_history(table);
  guess_perplexity(table);
  return table;
}

std::vector<Point> points_of(Table& table,
                             std::size_t number,
                             const PointOptions& options,
                             std::vector<Error>& problems) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < table.source.csv.rows.size(); ++row) {
    if (!options.unfinished && is_unfinished(table, row))
      ++table.unfinished;
    else
      rows.push_back(row);
  }
  if (options.need_loss) refuse_mixed_units(table, rows, problems);
  const Column& loss = table.columns[Role::loss];
  if (options.need_loss && loss && a_byte(loss.loss_unit) && !options.bytes_per_token)
    problems.push_back(
        {.kind = ErrorKind::usage,
         .what = fmt::format("column {} is in {}: how many bytes has a token?",
                             table.source.csv.names()[static_cast<std::size_t>(loss.index)],
                             fit::name_of(loss.loss_unit)),
         .hint = "--bytes-per-token 4.2 (bytes of the text / its tokens), or --unit loss=nats",
         .where = SourceRef{.file = table.source.csv.file}});

  std::vector<Point> points;
  for (const std::size_t row : rows) {
    Cells cells(table, row, problems);
    Point point{.source = number, .row = row, .run = run_name(table, row)};
    point.step = cells.number(Role::step);
    point.params = cells.number(Role::params);
    point.unique = cells.number(Role::unique);
    point.epochs = cells.number(Role::epochs);
    point.weight = cells.number(Role::weight);
    point.tokens_per_step = cells.number(Role::tokens_per_step);
    if (!point.tokens_per_step && table.columns[Role::batch] && table.columns[Role::length]) {
      const auto batch = cells.number(Role::batch), length = cells.number(Role::length);
      if (batch && length) point.tokens_per_step = *batch * *length;
    }
    const std::optional<double> tokens = cells.number(Role::tokens);
    switch (table.columns[Role::tokens].tokens_in) {
      case TokensIn::tokens:
        point.tokens = tokens;
        break;
      case TokensIn::epochs:
        if (tokens) point.epochs = tokens;
        break;
      case TokensIn::steps:
        if (tokens && (options.tokens_per_step || point.tokens_per_step))
          point.tokens =
              *tokens * options.tokens_per_step.value_or(point.tokens_per_step.value_or(0));
        break;
    }
    if (options.need_loss) read_loss(table, options, cells, point);
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace ration::import
