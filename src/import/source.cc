#include "import/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "import/rows.h"
#include "import/series.h"
#include "import/tfevents.h"

namespace ration::import {
namespace {

constexpr int kDeepest = 16;  // folders in folders; a link that leads upwards ends here

bool is_event_file(const Path& path) {
  return path.filename().string().find("tfevents") != std::string::npos;
}

bool is_lines(const Path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".ndjson";
}

bool is_table(const Path& path) {
  return path.extension() == ".csv" || path.extension() == ".json" || is_lines(path);
}

Error unreadable(const std::string& file, std::string what, std::string hint) {
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = std::move(hint),
          .where = SourceRef{.file = file}};
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The name of a run that a file is about: its own, or its folder's where it says nothing.
std::string run_of_file(const Path& file) {
  static const std::set<std::string> general = {"history",
                                                "metrics",
                                                "scalars",
                                                "progress",
                                                "log",
                                                "logs",
                                                "train",
                                                "eval",
                                                "events",
                                                "trainer_state",
                                                "wandb-history"};
  const std::string stem = file.stem().string();
  const std::string folder = file.parent_path().filename().string();
  return general.contains(stem) && !folder.empty() ? folder : stem;
}

// Run and tag out of the names that TensorBoard gives to downloads: run-NAME-tag-TAG.csv.
std::pair<std::string, std::string> run_and_tag(const Path& file) {
  constexpr std::string_view kTag = "-tag-";
  const std::string stem = file.stem().string();
  const std::size_t at = stem.find(kTag);
  if (at == std::string::npos) return {run_of_file(file), "value"};
  const bool named = stem.starts_with("run-") || stem.starts_with("run_");
  return {stem.substr(named ? 4 : 0, at - (named ? 4 : 0)), stem.substr(at + kTag.size())};
}

class Reader {
 public:
  Reader(Files& files, Format format) : files_(files), format_(format) {}

  void read(const Path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      read_folder(path);
    else if (is_event_file(path))
      read_events_of(path, run_of_events(path), "");
    else
      read_file(path);
  }

  Result<Sources> finish() &&;

 private:
  void read_folder(const Path& root);
  void walk(const Path& folder, int depth, std::vector<Path>& found);
  void read_event_folder(const Path& root, const Path& file);
  void read_events_of(const Path& file, const std::string& run, const std::string& group);
  static std::string run_of_events(const Path& file);
  void read_file(const Path& path);
  void read_csv(const Path& path, const std::string& text);
  void read_json(const Path& path, const std::string& text);
  void read_lines(const Path& path, const std::string& text);
  void take_objects(const Path& path, const std::vector<std::pair<const Json*, int>>& objects);
  bool take_scalars(const Path& path, const fit::Csv& csv);
  bool take_scalars(const Path& path, const Json& document);
  bool take_chart(const fit::Csv& csv);
  void add(Source source) { sources_.all.push_back(std::move(source)); }
  bool wants(Format format) const { return format_ == Format::automatic || format_ == format; }

  Files& files_;
  Format format_;
  Sources sources_;
  Series scalars_, charts_;
  std::string scalars_from_, charts_from_;  // the first file or folder of each
  std::vector<Error> problems_;
};

void Reader::walk(const Path& folder, int depth, std::vector<Path>& found) {
  Result<std::vector<std::string>> names = files_.list(folder);
  if (!names) return problems_.push_back(std::move(names).error());
  for (const std::string& name : *names) {
    if (name.starts_with('.')) continue;
    const Path path = folder / name;
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      if (depth < kDeepest) walk(path, depth + 1, found);
    } else if (is_event_file(path) || is_table(path)) {
      found.push_back(path);
    }
  }
}

void Reader::read_folder(const Path& root) {
  std::vector<Path> found;
  walk(root, 0, found);
  const auto tables = std::stable_partition(found.begin(), found.end(), is_event_file);
  const bool events = tables != found.begin() && wants(Format::tensorboard);
  if (events) {
    for (auto file = found.begin(); file != tables; ++file) read_event_folder(root, *file);
    if (tables != found.end())
      sources_.notes.push_back(fmt::format(
          "{}: event files are read; {} other files beside them are not (name them to read them)",
          root.string(),
          found.end() - tables));
    return;
  }
  for (auto file = tables; file != found.end(); ++file) read_file(*file);
  if (tables == found.end())
    problems_.push_back(unreadable(root.string(),
                                   fmt::format("{} holds no file to import", root.string()),
                                   "event files (*tfevents*), .csv, .json or .jsonl"));
}

void Reader::read_event_folder(const Path& root, const Path& file) {
  static const std::set<std::string> parts = {
      "train", "val", "valid", "validation", "eval", "test"};
  Path below = file.parent_path().lexically_relative(root);
  if (below == ".") below.clear();
  std::string group;
  if (const std::string last = below.filename().string(); parts.contains(last)) {
    group = last + "/";
    below = below.parent_path();
  }
  const Path whole = root.lexically_normal();
  const std::string own = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  read_events_of(file, below.empty() ? own : below.generic_string(), group);
}

std::string Reader::run_of_events(const Path& file) {
  const std::string folder = file.parent_path().filename().string();
  return folder.empty() ? file.filename().string() : folder;
}

void Reader::read_events_of(const Path& file, const std::string& run, const std::string& group) {
  auto mapped = files_.map(file);
  if (!mapped) return problems_.push_back(std::move(mapped).error());
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  Result<EventFile> events =
      read_events({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
  if (!events) return problems_.push_back(std::move(events).error());
  if (events->torn())
    sources_.notes.push_back(fmt::format(
        "{}: the last {} bytes are an unfinished record", file.string(), events->torn_bytes));
  if (scalars_from_.empty()) scalars_from_ = file.string();
  for (const Scalar& scalar : events->scalars)
    scalars_.add(run,
                 "step",
                 static_cast<double>(scalar.step),
                 scalar.tag.starts_with(group) ? scalar.tag : group + scalar.tag,
                 fmt::format("{}", scalar.value));
}

void Reader::read_file(const Path& path) {
  Result<std::string> text = files_.read(path);
  if (!text) return problems_.push_back(std::move(text).error());
  const std::size_t start = text->find_first_not_of(" \t\r\n");
  const char first = start == std::string::npos ? '\0' : (*text)[start];
  if (is_lines(path) || format_ == Format::jsonl)
    read_lines(path, *text);
  else if (format_ != Format::csv &&
           (path.extension() == ".json" ||
            (path.extension() != ".csv" && (first == '{' || first == '['))))
    read_json(path, *text);
  else
    read_csv(path, *text);
}

// Wall time,Step,Value.
bool Reader::take_scalars(const Path& path, const fit::Csv& csv) {
  if (csv.names() != std::vector<std::string>{"Wall time", "Step", "Value"}) return false;
  const auto [run, tag] = run_and_tag(path);
  if (scalars_from_.empty()) scalars_from_ = path.string();
  for (const fit::CsvRow& row : csv.rows)
    if (const std::optional<double> step = number(row.cells[1].text))
      scalars_.add(run, "step", *step, tag, row.cells[2].text);
    else
      problems_.push_back({.kind = ErrorKind::input,
                           .what = fmt::format("step \"{}\" is not a number", row.cells[1].text),
                           .where = csv.place(row, 1)});
  return true;
}

// [[wall time, step, value], …].
bool Reader::take_scalars(const Path& path, const Json& document) {
  const auto is_point = [](const Json& point) {
    return point.is_array() && point.size() == 3 && point[1].is_number();
  };
  if (!document.is_array() || document.empty() ||
      !std::all_of(document.begin(), document.end(), is_point))
    return false;
  const auto [run, tag] = run_and_tag(path);
  if (scalars_from_.empty()) scalars_from_ = path.string();
  for (const Json& point : document)  // numbers that JSON lacks are downloaded as texts
    scalars_.add(run,
                 "step",
                 point[1].get<double>(),
                 tag,
                 point[2].is_string() ? point[2].get<std::string>() : point[2].dump());
  return true;
}

// A line chart of Weights & Biases: the axis, then for each run "RUN - METRIC" and the same with
// __MIN and __MAX.
bool Reader::take_chart(const fit::Csv& csv) {
  constexpr std::string_view kBetween = " - ";
  struct Line {
    std::size_t column;
    std::string run, tag;
  };
  std::vector<Line> lines;
  for (std::size_t i = 1; i < csv.header.cells.size(); ++i) {
    const std::string& name = csv.header.cells[i].text;
    const std::size_t at = name.rfind(kBetween);
    if (at == std::string::npos) return false;
    if (!name.ends_with("__MIN") && !name.ends_with("__MAX"))
      lines.push_back({i, name.substr(0, at), name.substr(at + kBetween.size())});
  }
  const bool bands = csv.header.cells.size() == 1 + 3 * lines.size();
  if (lines.empty() || !bands) return false;
  const std::string& axis = csv.header.cells[0].text;
  const bool step = axis == "Step" || axis == "_step";
  if (charts_from_.empty()) charts_from_ = csv.file;
  for (const fit::CsvRow& row : csv.rows)
    for (const Line& line : lines) {
      const std::string& cell = row.cells[line.column].text;
      const std::optional<double> position = number(row.cells[0].text);
      if (cell.empty() || !position) continue;
      charts_.add(line.run, step ? "step" : axis, *position, line.tag, cell);
    }
  return true;
}

// Columns config and summary of printed objects, opened into columns of their own.
fit::Csv opened(fit::Csv csv) {
  const auto holds_objects = [&](std::size_t column) {
    const std::string& name = csv.header.cells[column].text;
    return (name == "config" || name == "summary") &&
           std::any_of(csv.rows.begin(), csv.rows.end(), [&](const fit::CsvRow& row) {
             return row.cells[column].text.starts_with('{');
           });
  };
  bool any = false;
  for (std::size_t i = 0; i < csv.header.cells.size(); ++i) any = any || holds_objects(i);
  if (!any) return csv;
  RowTable table(csv.file);
  for (const fit::CsvRow& row : csv.rows) {
    Members members;
    for (std::size_t i = 0; i < row.cells.size(); ++i)
      flatten(Json(row.cells[i].text), csv.header.cells[i].text, members);
    table.add(members, row.line, row.raw);
  }
  return std::move(table).finish();
}

bool has_column(const fit::Csv& csv, std::string_view name) { return csv.find(name) >= 0; }

// A table of runs, or rows of a history, as Weights & Biases writes them.
void recognise(Source& source) {
  const fit::Csv& csv = source.csv;
  const std::vector<std::string> names = csv.names();
  const bool nested = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("config.") || name.starts_with("summary.") ||
           name.starts_with("summaryMetrics.");
  });
  const bool page =
      has_column(csv, "State") && (has_column(csv, "Created") || has_column(csv, "Runtime") ||
                                   has_column(csv, "Tags") || has_column(csv, "User"));
  if (nested || page)
    source.format = Format::wandb, source.shape = Shape::runs;
  else if (has_column(csv, "_step"))
    source.format = Format::wandb, source.shape = Shape::history;
}

void Reader::read_csv(const Path& path, const std::string& text) {
  Result<fit::Csv> csv = fit::parse_csv(text, path.string());
  if (!csv) return problems_.push_back(std::move(csv).error());
  if (wants(Format::tensorboard) && take_scalars(path, *csv)) return;
  if (wants(Format::wandb) && take_chart(*csv)) return;
  if (format_ == Format::tensorboard)
    return problems_.push_back(unreadable(path.string(),
                                          "not a scalar download of TensorBoard",
                                          "its header is Wall time,Step,Value"));
  Source source{.csv = opened(std::move(*csv)), .run = run_of_file(path)};
  if (wants(Format::wandb)) recognise(source);
  if (format_ == Format::wandb && source.shape == Shape::unknown) source.shape = Shape::runs;
  add(std::move(source));
}

// Runs as objects; those with a history become its rows, each with the run's other members.
void Reader::take_objects(const Path& path,
                          const std::vector<std::pair<const Json*, int>>& objects) {
  RowTable runs(path.string()), points(path.string());
  bool any_run = false, any_point = false;
  int place = 0;
  for (const auto& [object, line] : objects) {
    ++place;
    if (!object->is_object()) {
      problems_.push_back({.kind = ErrorKind::input,
                           .what = fmt::format("element {} is not a JSON object", place),
                           .where = SourceRef{path.string(), line}});
      continue;
    }
    Members members;
    flatten(*object, "", members);
    const Json* history = nullptr;
    for (const char* name : {"history", "log_history"})  // the latter in trainer_state.json
      if (object->contains(name) && (*object)[name].is_array()) history = &(*object)[name];
    if (history == nullptr) {
      runs.add(members, line, fmt::format("element {}", place));
      any_run = true;
      continue;
    }
    // What the run ended with is not what it had at each step.
    std::erase_if(members, [](const auto& member) {
      return member.first.starts_with("summary") || member.first == "global_step";
    });
    for (const Json& point : *history) {
      Members row = members;
      flatten(point, "", row);
      points.add(row, line, fmt::format("element {}", place));
      any_point = true;
    }
  }
  const Format format = is_lines(path) ? Format::jsonl : Format::csv;
  if (any_run) {
    Source source{.csv = std::move(runs).finish(), .format = format, .run = run_of_file(path)};
    recognise(source);
    add(std::move(source));
  }
  if (any_point)
    add({.csv = std::move(points).finish(),
         .format = Format::wandb,
         .shape = Shape::history,
         .run = run_of_file(path)});
  if (!any_run && !any_point && problems_.empty())
    problems_.push_back(
        unreadable(path.string(), "no run stands there", "objects with params, tokens and loss"));
}

void Reader::read_json(const Path& path, const std::string& text) {
  Result<Json> document = parse_printed(text, path.string());
  if (!document) {
    // Several objects, a line each, under the name .json.
    const std::string_view first = std::string_view(text).substr(0, text.find('\n'));
    if (first.starts_with('{') && parse_json(first, "")) return read_lines(path, text);
    return problems_.push_back(std::move(document).error());
  }
  if (wants(Format::tensorboard) && take_scalars(path, *document)) return;
  if (format_ == Format::tensorboard)
    return problems_.push_back(unreadable(path.string(),
                                          "not a scalar download of TensorBoard",
                                          "a list of [wall time, step, value]"));
  const Json* list = &*document;
  for (const char* name : {"runs", "data"})
    if (document->is_object() && document->contains(name) && (*document)[name].is_array())
      list = &(*document)[name];
  std::vector<Json> named;  // {"run-1": {…}, "run-2": {…}}
  const bool by_name =
      list->is_object() && !list->empty() && !list->contains("config") &&
      std::all_of(list->begin(), list->end(), [](const Json& run) { return run.is_object(); });
  if (by_name)
    for (const auto& [name, run] : list->items()) {
      named.push_back(run);
      if (!run.contains("name")) named.back()["name"] = name;
    }
  std::vector<std::pair<const Json*, int>> objects;
  if (by_name)
    for (const Json& run : named) objects.emplace_back(&run, 0);
  else if (list->is_array())
    for (const Json& run : *list) objects.emplace_back(&run, 0);
  else
    objects.emplace_back(list, 0);
  take_objects(path, objects);
}

void Reader::read_lines(const Path& path, const std::string& text) {
  std::vector<Json> values;
  std::vector<int> lines;
  int line_number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Result<Json> value = parse_printed(line, path.string());
    if (!value || !value->is_object()) {
      problems_.push_back(
          {.kind = ErrorKind::input,
           .what = "not a JSON object",
           .where = SourceRef{path.string(), line_number, 1, std::string(line.substr(0, 160))}});
      continue;
    }
    values.push_back(std::move(*value));
    lines.push_back(line_number);
  }
  std::vector<std::pair<const Json*, int>> objects;
  for (std::size_t i = 0; i < values.size(); ++i) objects.emplace_back(&values[i], lines[i]);
  take_objects(path, objects);
}

Result<Sources> Reader::finish() && {
  if (!scalars_.empty())
    add({.csv = scalars_.table(scalars_from_),
         .format = Format::tensorboard,
         .shape = Shape::history});
  if (!charts_.empty())
    add({.csv = charts_.table(charts_from_), .format = Format::wandb, .shape = Shape::history});
  if (problems_.empty() && sources_.all.empty())
    problems_.push_back({.kind = ErrorKind::input,
                         .what = "the files hold no scalar and no run",
                         .hint = "event files need logged scalars"});
  if (!problems_.empty()) return combine(std::move(problems_), "some files cannot be imported");
  return std::move(sources_);
}

}  // namespace

Result<Sources> read_sources(Files& files, const std::vector<Path>& paths, Format format) {
  Reader reader(files, format);
  for (const Path& path : paths) reader.read(path);
  return std::move(reader).finish();
}

}  // namespace ration::import
