// The tables that other programs get, row by row.

#include <fmt/format.h>

#include <set>

#include "store/database.h"
#include "store/eval_schema.h"
#include "store/store.h"

namespace ration::store {
namespace {

using tables::Cell;
using tables::Column;
using tables::Row;
using tables::Type;

const std::vector<Column>& view_columns(Table table) {
  using enum Type;
  static const std::vector<Column> runs = {{"run", text},
                                           {"cell", text},
                                           {"sweep", text},
                                           {"state", text},
                                           {"reason", text},
                                           {"params", real},
                                           {"n_block", real},
                                           {"n_embed", real},
                                           {"n_head", real},
                                           {"n_total", real},
                                           {"tokens", real},
                                           {"unique_tokens", real},
                                           {"epochs", real},
                                           {"seed", whole},
                                           {"subset_seed", whole},
                                           {"flops", real},
                                           {"flops_kaplan", real},
                                           {"flops_6nd", real},
                                           {"flops_6nd_head", real},
                                           {"flops_palm", real},
                                           {"flops_chinchilla", real},
                                           {"final_loss_nats", real},
                                           {"best_loss_nats", real},
                                           {"best_step", whole},
                                           {"tokens_seen", real},
                                           {"attempts", whole},
                                           {"wall_s", real},
                                           {"finished", real}};
  static const std::vector<Column> losses = {
      {"run", text}, {"step", whole}, {"tokens", real}, {"epochs", real}, {"loss_nats", real}};
  static const std::vector<Column> metrics = {{"run", text},
                                              {"attempt", whole},
                                              {"name", text},
                                              {"step", whole},
                                              {"tokens", real},
                                              {"epochs", real},
                                              {"value", real},
                                              {"t", real}};
  static const std::vector<Column> fits = {{"fit", whole},
                                           {"created", real},
                                           {"law", text},
                                           {"query", text},
                                           {"objective", real},
                                           {"status", text},
                                           {"runs", whole},
                                           {"document", text}};
  static const std::vector<Column> evals = {
      {"eval", text},        {"created", real}, {"run", text},      {"step", whole},
      {"tokens", real},      {"epochs", real},  {"params", real},   {"final_loss_nats", real},
      {"checkpoint", text},  {"task", text},    {"data", text},     {"score", text},
      {"skip_first", whole}, {"part", text},    {"name", text},     {"corpus", text},
      {"prompt", whole},     {"n", whole},      {"accuracy", real}, {"low", real},
      {"high", real}};
  switch (table) {
    case Table::evals:
      return evals;
    case Table::runs:
      return runs;
    case Table::losses:
      return losses;
    case Table::metrics:
      return metrics;
    case Table::fits:
      break;
  }
  return fits;
}

// Settings that have no column of their own yet.
const std::vector<Column>& setting_columns() {
  static const std::vector<Column> columns = [] {
    std::set<std::string> taken;
    for (const Column& column : view_columns(Table::runs)) taken.insert(column.name);
    std::vector<Column> settings;
    for (const run::Field& field : run::identity_fields()) {
      if (taken.contains(field.name)) continue;
      const bool real = std::holds_alternative<double>(field.default_value);
      const bool word = std::holds_alternative<std::string>(field.default_value);
      settings.push_back({field.name, word ? Type::text : real ? Type::real : Type::whole});
    }
    return settings;
  }();
  return columns;
}

std::string column_list(Table table) {
  std::string list;
  for (const Column& column : view_columns(table)) list += (list.empty() ? "" : ", ") + column.name;
  return list;
}

Cell cell_of(const Statement& row, int index, Type type) {
  if (row.null(index)) return {};
  switch (type) {
    case Type::whole:
      return row.integer(index);
    case Type::real:
      return row.real(index);
    case Type::text:
      break;
  }
  return row.text(index);
}

void read_row(const Statement& statement, const std::vector<Column>& columns, Row& row) {
  row.clear();
  for (const Column& column : columns)
    row.push_back(cell_of(statement, static_cast<int>(row.size()), column.type));
}

Cell setting(const run::RunSpec& spec, const std::string& name) {
  return std::visit(
      []<class T>(const T& value) -> Cell {
        if constexpr (std::is_same_v<T, bool>)
          return std::int64_t{value};
        else
          return value;
      },
      run::get(spec, name));
}

std::vector<std::string> all_runs(const Database& database) {
  std::vector<std::string> ids;
  Statement rows = database.prepare("SELECT hash FROM runs ORDER BY hash");
  while (rows.step()) ids.push_back(rows.blob_as_hex(0));
  return ids;
}

void visit_runs(const Database& database,
                const std::vector<std::string>& runs,
                const RowVisitor& visit) {
  const std::vector<Column>& columns = view_columns(Table::runs);
  const std::string file = database.file().string();
  Statement rows = database.prepare(
      fmt::format("SELECT {}, config FROM v_runs WHERE run = ?", column_list(Table::runs)));
  Row row;
  for (const std::string& run : runs)
    for (rows.bind(run); rows.step();) {
      read_row(rows, columns, row);
      const std::string config = rows.text(static_cast<int>(columns.size()));
      const run::RunSpec spec = unwrap(run::spec_from_json(unwrap(parse_json(config, file)), file));
      for (const Column& column : setting_columns()) row.push_back(setting(spec, column.name));
      unwrap(visit(row));
    }
}

void visit_points(const Database& database,
                  const std::vector<std::string>& runs,
                  Table table,
                  const RowVisitor& visit) {
  const bool losses = table == Table::losses;
  Statement points = database.prepare(fmt::format("SELECT {} FROM {} WHERE run = ? ORDER BY {}",
                                                  column_list(table),
                                                  losses ? "v_losses" : "v_metrics",
                                                  losses ? "step" : "name, step"));
  Row row;
  for (const std::string& run : runs)
    for (points.bind(run); points.step();) {
      read_row(points, view_columns(table), row);
      unwrap(visit(row));
    }
}

void visit_fits(const Database& database,
                const std::optional<std::vector<std::string>>& runs,
                const RowVisitor& visit) {
  std::set<std::int64_t> chosen;
  Statement of_run =
      database.prepare("SELECT f.fit FROM fit_runs f JOIN runs r ON r.id = f.run WHERE r.hash = ?");
  for (const std::string& run : runs.value_or(std::vector<std::string>{}))
    for (of_run.bind(Hex{run}); of_run.step();) chosen.insert(of_run.integer(0));
  Statement rows =
      database.prepare(fmt::format("SELECT {} FROM v_fits ORDER BY fit", column_list(Table::fits)));
  Row row;
  while (rows.step()) {
    if (runs && !chosen.contains(rows.integer(0))) continue;
    read_row(rows, view_columns(Table::fits), row);
    unwrap(visit(row));
  }
}

// Of no run at all, too, unless some are asked for.
void visit_evals(const Database& database,
                 const std::optional<std::vector<std::string>>& runs,
                 const RowVisitor& visit) {
  if (!has_evals(database)) return;
  const std::set<std::string> chosen =
      runs ? std::set<std::string>(runs->begin(), runs->end()) : std::set<std::string>();
  Statement rows = database.prepare(
      fmt::format("SELECT {} FROM v_evals ORDER BY run, step, eval, score, skip_first, part, "
                  "corpus, name, prompt",
                  column_list(Table::evals)));
  constexpr int kRun = 2;
  Row row;
  while (rows.step()) {
    if (runs && !chosen.contains(rows.text(kRun))) continue;
    read_row(rows, view_columns(Table::evals), row);
    unwrap(visit(row));
  }
}

}  // namespace

std::vector<Column> columns_of(Table table) {
  std::vector<Column> columns = view_columns(table);
  if (table == Table::runs)
    columns.insert(columns.end(), setting_columns().begin(), setting_columns().end());
  return columns;
}

Result<void> Reader::each_row(const TableQuery& query, const RowVisitor& visit) const {
  return guarded([&] {
    if (query.table == Table::fits) return visit_fits(*database_, query.runs, visit);
    if (query.table == Table::evals) return visit_evals(*database_, query.runs, visit);
    const std::vector<std::string> runs = query.runs ? *query.runs : all_runs(*database_);
    if (query.table == Table::runs) return visit_runs(*database_, runs, visit);
    visit_points(*database_, runs, query.table, visit);
  });
}

}  // namespace ration::store
