#include "eval/pairs/task.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "base/hash.h"
#include "base/json.h"
#include "eval/pairs/verbatim.h"

namespace ration::eval {
namespace {

constexpr std::string_view kPrefix = "binary_choice-using_", kSuffix = ".jsonl",
                           kDistractors = "_distractors";  // not in all sets
constexpr const char* kGeneric = "pairs";                  // the set of lines that are not FIB's
constexpr std::size_t kMostProblems = 20;                  // of lines, told at once

Error bad(std::string what) {
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = "docs/evaluating.md shows the lines of a task"};
}

struct Source {
  Path path;
  std::string group;   // the distractor model, or the file's name
  std::string corpus;  // xsum, cnn_dm or empty
  std::string set;     // of FIB's, where its lines are such
};

bool is_corpus(std::string_view name) { return name == "xsum" || name == "cnn_dm"; }

bool is_of_layout(std::string_view name) {
  return name.starts_with(kPrefix) && name.ends_with(kSuffix) &&
         name.size() > kPrefix.size() + kSuffix.size();
}

// By its name and the two folders above it; `set` where these say nothing.
Source source_of(const Path& path, const std::string& set) {
  const std::string name = path.filename().string();
  const Path folder = std::filesystem::absolute(path).lexically_normal().parent_path();
  const std::string corpus = folder.parent_path().filename().string();
  Source source{.path = path, .group = path.stem().string(), .corpus = "", .set = set};
  if (is_corpus(corpus)) source.corpus = corpus, source.set = folder.filename().string();
  if (!is_of_layout(name)) return source;
  source.group = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  if (source.group.ends_with(kDistractors) && source.group != kDistractors)
    source.group.resize(source.group.size() - kDistractors.size());
  return source;
}

// The files of a layout's folder that hold pairs, by name.
Result<std::vector<Source>> sources_in(Files& files, const Path& folder, const std::string& set) {
  Result<std::vector<std::string>> names = files.list(folder);
  if (!names) return std::move(names).error();
  std::vector<Source> found;
  for (const std::string& name : *names)
    if (is_of_layout(name)) found.push_back(source_of(folder / name, set));
  return found;
}

// The root, one corpus of it, or one set of a corpus.
Result<std::vector<Source>> sources_of(Files& files, const Path& path, const std::string& set) {
  if (!files.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no {}", path.string()),
                 .hint = "name a JSONL file of pairs, or the folder that holds xsum and cnn_dm"};
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored))
    return std::vector<Source>{source_of(path, set)};
  std::vector<Source> found;
  for (const Path& folder : {path / "xsum" / set, path / "cnn_dm" / set, path / set, path}) {
    if (!files.exists(folder)) continue;
    Result<std::vector<Source>> some = sources_in(files, folder, set);
    if (!some) return some;
    found.insert(found.end(), some->begin(), some->end());
  }
  if (!found.empty()) return found;
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format(
          "{} holds no xsum/{}/ or cnn_dm/{}/ with {}….jsonl", path.string(), set, set, kPrefix),
      .hint =
          "name the folder that holds xsum and cnn_dm, or one JSONL file; --set names "
          "another set"};
}

Result<std::string> member(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_string())
    return bad(fmt::format("there is no text \"{}\"", name));
  return found->get<std::string>();
}

Result<std::string> id_of(const Json& json) {
  const auto found = json.find("id");
  if (found != json.end() && found->is_number_unsigned())
    return fmt::to_string(found->get<std::uint64_t>());
  if (found != json.end() && found->is_number_integer())
    return fmt::to_string(found->get<std::int64_t>());
  return member(json, "id");
}

Result<PairItem> fib_item(const Json& json) {
  const Json& choices = json.at("list_choices");
  const Json label = json.value("lbl", Json());
  if (!choices.is_array() || choices.size() != 2 || !choices[0].is_string() ||
      !choices[1].is_string())
    return bad("\"list_choices\" is no list of two texts");
  if (!label.is_number_integer() || (label != 0 && label != 1))
    return bad("\"lbl\" is neither 0 nor 1");
  Result<std::string> document = member(json, "input"), correct = member(json, "correct_choice");
  if (!document) return std::move(document).error();
  if (!correct) return std::move(correct).error();
  PairItem item;
  item.document = *std::move(document);
  item.choices = {choices[0].get<std::string>(), choices[1].get<std::string>()};
  item.label = label.get<std::size_t>();
  if (item.choices[item.label] != *correct)
    return bad("\"correct_choice\" is not the one that \"lbl\" names");
  return item;
}

Result<PairItem> plain_item(const Json& json, const std::string& id) {
  Result<std::string> document = member(json, "document");
  Result<std::string> consistent = member(json, "consistent");
  Result<std::string> inconsistent = member(json, "inconsistent");
  for (auto* each : {&document, &consistent, &inconsistent})
    if (!*each) return std::move(*each).error();
  PairItem item;
  item.document = *std::move(document);
  item.label = label_of(id);
  item.choices[item.label] = *std::move(consistent);
  item.choices[1 - item.label] = *std::move(inconsistent);
  return item;
}

// Collects the items of one file after the other.
class Collector {
 public:
  explicit Collector(const TaskOptions& options) : options_(options) {}

  void add(const Source& source, std::string_view text) {
    const bool strip = options_.strip_tags && text.find("<t>") != std::string_view::npos;
    const std::size_t before = task_.items.size();
    task_.files.push_back({.path = source.path.string(), .sha256 = sha256_hex(text)});
    task_.files.back().stripped = strip;
    std::size_t number = 1;
    for (std::string_view rest = text; !rest.empty(); ++number) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(rest.size(), end + 1));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      if (Result<void> done = add_line(source, line, number, strip); !done)
        note(source, number, done.error());
    }
    task_.files.back().items = task_.items.size() - before;
  }

  Result<PairTask> take() {
    if (problems_ > told_.size())
      told_.push_back(bad(fmt::format("and {} more", problems_ - told_.size())));
    if (told_.size() == 1) return std::move(told_.front());
    if (!told_.empty()) return combine(std::move(told_), "lines that are no items");
    if (task_.items.empty())
      return bad(fmt::format("{}: there are no items", task_.files.front().path));
    task_.documents = clusters_.size();
    return std::move(task_);
  }

 private:
  Result<void> add_line(const Source& source,
                        std::string_view line,
                        std::size_t number,
                        bool strip) {
    Result<Json> json = parse_json(line, "");
    if (!json || !json->is_object()) return bad("it is no JSON object");
    Result<std::string> id = id_of(*json);
    if (!id) return std::move(id).error();
    const bool of_fib = !json->value("list_choices", Json()).is_null();
    Result<PairItem> item = of_fib ? fib_item(*json) : plain_item(*json, *id);
    if (!item) return std::move(item).error();
    // Before tags go: they say where sentences end.
    item->verbatim = copied(item->choices[1 - item->label], item->document);
    if (strip)
      for (std::string& choice : item->choices) choice = without_tags(choice);
    for (const std::string& choice : item->choices)
      if (choice.find_first_not_of(" \t\r\n") == std::string::npos) return bad("a choice is empty");
    std::string group = source.group;
    if (json->contains("group")) {
      Result<std::string> named = member(*json, "group");
      if (!named) return std::move(named).error();
      group = *std::move(named);
    }
    const std::size_t number_of_group = group_of(source.corpus, group);
    const auto [earlier, is_new] =
        ids_.try_emplace(std::pair(number_of_group, *id), task_.files.size() - 1, number);
    if (!is_new)
      return bad(fmt::format("{}:{} has the same id, \"{}\"",
                             task_.files[earlier->second.first].path,
                             earlier->second.second,
                             *id));
    if (!of_fib) task_.set = kGeneric;
    if (task_.set.empty()) task_.set = source.set;
    item->id = *std::move(id);
    item->file = task_.files.size() - 1;
    item->line = number;
    item->cluster = clusters_.emplace(sha256_hex(item->document), clusters_.size()).first->second;
    item->group = number_of_group;
    ++task_.groups[item->group].items;
    task_.items.push_back(*std::move(item));
    return {};
  }

  std::size_t group_of(const std::string& corpus, const std::string& name) {
    const auto [found, is_new] = groups_.emplace(std::pair(corpus, name), task_.groups.size());
    if (is_new) task_.groups.push_back({.name = name, .corpus = corpus});
    return found->second;
  }

  void note(const Source& source, std::size_t line, const Error& error) {
    ++problems_;
    if (told_.size() < kMostProblems)
      told_.push_back(bad(fmt::format("{}:{}: {}", source.path.string(), line, error.what)));
  }

  TaskOptions options_;
  PairTask task_;
  std::map<std::string, std::size_t> clusters_;  // digest of a document -> its number
  std::map<std::pair<std::string, std::string>, std::size_t> groups_;
  // Of an id in a group: the number of the file that has it, and the line.
  std::map<std::pair<std::size_t, std::string>, std::pair<std::size_t, std::size_t>> ids_;
  std::vector<Error> told_;
  std::size_t problems_ = 0;
};

}  // namespace

std::string PairTask::digest() const {
  std::string all;
  for (const TaskFile& file : files) all += file.sha256 + (file.stripped ? " stripped\n" : "\n");
  return sha256_hex(all);
}

std::string PairTask::where(const PairItem& item) const {
  return fmt::format("{}:{}", files[item.file].path, item.line);
}

std::size_t label_of(std::string_view id) { return sha256_hex(id)[0] >= '8' ? 1 : 0; }

std::string without_tags(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const std::size_t tag = rest.starts_with("<t>") ? 3 : rest.starts_with("</t>") ? 4 : 0;
    const bool blank = tag > 0 || text[i] == ' ';
    if (tag > 0) i += tag - 1;
    if (!blank)
      plain += text[i];
    else if (!plain.empty() && plain.back() != ' ')
      plain += ' ';
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

Result<PairTask> read_task(Files& files, const Path& path, const TaskOptions& options) {
  Result<std::vector<Source>> sources = sources_of(files, path, options.set);
  if (!sources) return std::move(sources).error();
  Collector collector(options);
  for (const Source& source : *sources) {
    Result<std::string> text = files.read(source.path);
    if (!text) return std::move(text).error();
    collector.add(source, *text);
  }
  return collector.take();
}

Result<PairTask> parse_task(std::string_view text, const std::string& name) {
  Collector collector({});
  collector.add({.path = name, .group = Path(name).stem().string(), .corpus = "", .set = "fib"},
                text);
  return collector.take();
}

}  // namespace ration::eval
