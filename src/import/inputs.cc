#include "import/inputs.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::import {
namespace {

Result<void> read_tables(Files& files,
                         const std::vector<Path>& paths,
                         const Options& options,
                         const PointOptions& point_options,
                         Inputs& inputs,
                         std::vector<Error>& problems) {
  Result<Sources> sources = read_sources(files, paths, options.from);
  if (!sources) return std::move(sources).error();
  inputs.notes = std::move(sources->notes);
  for (Source& source : sources->all) {
    Result<Table> table = describe(std::move(source), point_options);
    if (table)
      inputs.tables.push_back(std::move(*table));
    else
      problems.push_back(std::move(table).error());
  }
  return {};
}

Result<void> read_side_table(Files& files,
                             const Path& file,
                             PointOptions options,
                             Inputs& inputs,
                             std::vector<Error>& problems) {
  if (file.empty()) return {};
  Result<Sources> sources = read_sources(files, {file}, Format::automatic);
  if (!sources) return std::move(sources).error().with_context("--runs");
  options.where.clear();
  options.need_loss = false;
  options.unfinished = true;
  for (Source& source : sources->all) {
    Result<Table> table = describe(std::move(source), options);
    if (!table) return std::move(table).error();
    if (!table->columns[Role::run])
      return Error{.kind = ErrorKind::input,
                   .what = "--runs: no column holds the runs' names",
                   .hint = fmt::format("its columns: {}; --column run=NAME names it",
                                       fmt::join(table->source.csv.names(), ", ")),
                   .where = SourceRef{.file = table->source.csv.file}};
    for (Point& point : points_of(*table, inputs.side_tables.size(), options, problems))
      inputs.side[point.run] = std::move(point);
    inputs.side_tables.push_back(std::move(*table));
  }
  return {};
}

// Columns that an option names must exist somewhere; a loss must be found somewhere.
void check_columns(const Inputs& inputs, std::vector<Error>& problems) {
  std::map<Role, std::vector<Error>> missing;
  for (const std::vector<Table>* tables : {&inputs.tables, &inputs.side_tables})
    for (const Table& table : *tables)
      for (const auto& [role, error] : table.columns.missing) missing[role].push_back(error);
  const std::size_t all = inputs.tables.size() + inputs.side_tables.size();
  bool no_loss = !inputs.tables.empty();
  for (const Table& table : inputs.tables) no_loss = no_loss && !table.columns[Role::loss];
  for (auto& [role, errors] : missing) {
    const std::size_t could = role == Role::loss ? inputs.tables.size() : all;
    std::erase_if(errors, [&](const Error& error) {
      return role == Role::loss &&
             std::any_of(
                 inputs.side_tables.begin(), inputs.side_tables.end(), [&](const Table& table) {
                   return error.where->file == table.source.csv.file;
                 });
    });
    if (errors.size() < could) continue;
    problems.push_back(errors.front());
    no_loss = no_loss && role != Role::loss;
  }
  if (no_loss)
    problems.push_back(
        {.kind = ErrorKind::input,
         .what = "no column looks like a loss",
         .hint = fmt::format("--loss-key NAME, one of: {}",
                             fmt::join(inputs.tables.front().source.csv.names(), ", ")),
         .where = SourceRef{.file = inputs.tables.front().source.csv.file}});
}

}  // namespace

bool Inputs::told(Role role) const {
  return std::any_of(tables.begin(), tables.end(), [&](const Table& table) {
    return table.columns[role].told && table.columns[role];
  });
}

Inputs read_inputs(Files& files,
                   const std::vector<Path>& paths,
                   const Options& options,
                   const PointOptions& point_options,
                   std::vector<Error>& problems) {
  Inputs inputs;
  for (Result<void> done :
       {read_tables(files, paths, options, point_options, inputs, problems),
        read_side_table(files, options.side_table, point_options, inputs, problems)})
    if (!done) problems.push_back(std::move(done).error());
  if (problems.empty()) check_columns(inputs, problems);
  return inputs;
}

}  // namespace ration::import
