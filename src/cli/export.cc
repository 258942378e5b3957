#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>

#include "base/part_file.h"
#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/store_option.h"
#include "fit/where.h"
#include "tables/writer.h"

namespace ration::cli {
namespace {

using store::Table;
using tables::Format;

// --where over the columns of the table.
class Filter {
 public:
  static Result<Filter> make(const std::string& text, std::vector<tables::Column> columns) {
    Filter filter;
    filter.header_.file = "the table";
    for (const tables::Column& column : columns)
      filter.header_.header.cells.push_back({.text = column.name});
    Result<fit::RowFilter> rows = fit::RowFilter::parse(text, filter.header_);
    if (!rows) return std::move(rows).error();
    filter.rows_ = std::move(*rows);
    filter.all_ = text.find_first_not_of(' ') == std::string::npos;
    return filter;
  }

  bool takes(const tables::Row& row) {
    if (all_) return true;
    cells_.cells.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) cells_.cells[i].text = tables::text_of(row[i]);
    return rows_.takes(cells_);
  }

 private:
  fit::Csv header_;
  fit::RowFilter rows_;
  fit::CsvRow cells_;
  bool all_ = false;
};

// Standard output, or a file that appears whole.
class Target {
 public:
  explicit Target(std::optional<std::string> file) : file_(std::move(file)) {}

  Result<void> open() {
    if (!file_) return {};
    const Path folder = Path(*file_).parent_path();
    if (!folder.empty() && !real_files().exists(folder))
      return system_error("create", *file_, ENOENT);
    part_name_ = part_beside(real_files(), *file_);
    if (Result<void> done = real_files().remove_all(part_name_); !done) return done;
    Result<std::unique_ptr<AppendFile>> opened = real_files().open_append(part_name_);
    if (!opened) return std::move(opened).error();
    part_ = std::move(*opened);
    return {};
  }
  Result<void> write(std::string_view bytes) {
    if (part_ != nullptr) return part_->append(bytes);
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return {};
    return system_error("write", "standard output", errno);
  }
  Result<void> publish() {
    if (part_ == nullptr) return {};
    if (Result<void> done = part_->sync(); !done) return done;
    part_.reset();
    return real_files().rename(part_name_, *file_);
  }
  void give_up() {
    if (part_name_.empty()) return;
    const Result<void> ignored = real_files().remove_all(part_name_);
    (void)ignored;
  }

 private:
  std::optional<std::string> file_;
  Path part_name_;
  std::unique_ptr<AppendFile> part_;
};

struct ExportOptions {
  Table table = Table::runs;
  Format format = Format::csv;
  std::optional<std::string> file;
  std::string where;
};

Result<ExportOptions> export_options(const Arguments& arguments) {
  ExportOptions options;
  options.file = arguments.text("out");
  options.where = arguments.text("where").value_or("");
  OptionReader read{arguments};
  const std::vector<std::pair<std::string, Table>> tables = {{"runs", Table::runs},
                                                             {"losses", Table::losses},
                                                             {"metrics", Table::metrics},
                                                             {"fits", Table::fits},
                                                             {"evals", Table::evals}};
  const std::vector<std::pair<std::string, Format>> formats = {
      {"csv", Format::csv}, {"jsonl", Format::jsonl}, {"parquet", Format::parquet}};
  options.table = read.choice("what", tables).value_or(options.table);
  bool known = !options.file || !Path(*options.file).has_extension();
  for (const auto& [word, format] : formats)
    if (options.file && options.file->ends_with("." + word)) options.format = format, known = true;
  if (arguments.text("format"))
    options.format = read.choice("format", formats).value_or(options.format);
  else if (!known)
    read.refuse(fmt::format("the ending of {} is no format", *options.file),
                "end it in .csv, .jsonl or .parquet, or say --format");
  if (!options.file && options.format == Format::parquet)
    read.refuse("a Parquet file needs a name", "-o FILE names it");
  if (!options.file && arguments.console.json)
    read.refuse("--json and the table would share standard output", "-o FILE names a file for it");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

// The runs that the words name, each the name or file of a sweep, or the beginning of a run-id.
Result<std::optional<std::vector<std::string>>> chosen_runs(const store::Reader& store,
                                                            const Arguments& arguments) {
  if (arguments.positional.empty()) return std::optional<std::vector<std::string>>();
  std::set<std::string> runs;
  std::vector<Error> problems;
  for (const std::string& word : arguments.positional) {
    Result<store::SweepRow> sweep = store.find_sweep(word);
    if (sweep) {
      Result<std::vector<store::RunRow>> members = store.runs(sweep->id);
      if (!members) return std::move(members).error();
      for (const store::RunRow& row : *members) runs.insert(row.run);
      continue;
    }
    Result<store::RunRow> row = store.find_run(word);
    if (row)
      runs.insert(row->run);
    else if (row.error().what.starts_with("several"))
      problems.push_back(std::move(row).error());
    else
      problems.push_back({.kind = ErrorKind::input,
                          .what = fmt::format("neither a sweep nor a run is called \"{}\"", word),
                          .hint = "`ration status --runs` lists both"});
  }
  if (problems.size() == 1) return std::move(problems.front());
  if (!problems.empty()) return combine(std::move(problems), "names that cannot be found");
  return std::optional(std::vector<std::string>(runs.begin(), runs.end()));
}

Result<std::int64_t> write_table(const store::Reader& store,
                                 const store::TableQuery& query,
                                 const ExportOptions& options,
                                 Filter& filter,
                                 Target& target) {
  if (Result<void> done = target.open(); !done) return std::move(done).error();
  const auto writer = tables::make_writer(
      options.format, store::columns_of(query.table), [&](std::string_view bytes) {
        return target.write(bytes);
      });
  std::int64_t rows = 0;
  Result<void> done = store.each_row(query, [&](const tables::Row& row) {
    if (!filter.takes(row)) return Result<void>();
    ++rows;
    return writer->add(row);
  });
  if (done) done = writer->finish();
  if (done) done = target.publish();
  if (!done) return std::move(done).error();
  return rows;
}

Result<int> run_export(const Arguments& arguments) {
  Result<ExportOptions> options = export_options(arguments);
  if (!options) return std::move(options).error();
  Result<Filter> filter = Filter::make(options->where, store::columns_of(options->table));
  if (!filter) return std::move(filter).error();
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::optional<std::vector<std::string>>> runs = chosen_runs(*store, arguments);
  if (!runs) return std::move(runs).error();
  if (options->file)
    if (Result<void> free = refuse_own_file(store->layout(), *options->file); !free)
      return std::move(free).error();
  Target target(options->file);
  Result<std::int64_t> rows = write_table(
      *store, {.table = options->table, .runs = std::move(*runs)}, *options, *filter, target);
  if (!rows) {
    target.give_up();
    return std::move(rows).error();
  }
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.export/1"},
                                  {"file", *options->file},
                                  {"table", *arguments.text("what")},
                                  {"rows", *rows}});
  else if (options->file)
    arguments.console.note(fmt::format("{}: {} rows", *options->file, *rows));
  return 0;
}

}  // namespace

Command export_command() {
  return {
      .name = "export",
      .summary = "Write runs, losses, metrics, fits or evaluations for other programs",
      .arguments = "[SWEEP | RUN …]",
      .max_arguments = 100'000,
      .options =
          {store_option(),
           {.name = "what",
            .value = "TABLE",
            .default_value = "runs",
            .help = "runs (with every setting), losses (held-out evaluations), metrics (all logged "
                    "numbers), fits or evals (accuracies on pairs); docs/store.md has their "
                    "columns."},
           {.name = "format",
            .value = "FORMAT",
            .help = "csv, jsonl or parquet; the ending of -o unless given, else csv."},
           {.name = "where",
            .value = "EXPR",
            .help = "Rows to take: comparisons of columns joined by \" and \", such as "
                    "\"state=done and epochs<=4\"."},
           {.name = "out",
            .value = "FILE",
            .help = "Where to, whole or not at all; standard output unless given.",
            .letter = 'o'}},
      .description =
          "In CSV, a text that a spreadsheet would calculate (= + - @ in front) gets a ' "
          "before it.\n\n"
          "  ration export -o runs.parquet\n"
          "  ration export tiny --what losses --where \"epochs<=4\" -o losses.csv",
      .execute = run_export};
}

}  // namespace ration::cli
