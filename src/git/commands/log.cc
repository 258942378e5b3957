#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "git/commands.h"
#include "git/difference_text.h"
#include "git/raw_diff.h"
#include "git/sides.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::Manifest;
using versions::ManifestTensor;
using versions::Source;
using versions::TensorChange;

struct Entry {
  const CommitChange* commit = nullptr;
  std::string path;
  TensorChange change;
};

class History {
 public:
  History(Repository& repository, std::string tensor)
      : repository_(repository), store_(repository.store()), tensor_(std::move(tensor)) {}

  // The changes of the tensor by one commit. A merge changes it where no parent has what it has.
  void look(const CommitChange& commit) {
    for (const FileChange& file : commit.files) {
      const std::optional<ManifestTensor> after = tensor_in(file.after);
      bool changed = true;
      for (const std::string& parent : file.before) changed = changed && tensor_in(parent) != after;
      if (!changed) continue;
      entries_.push_back({&commit, file.path, compare_one(tensor_in(file.before[0]), after)});
    }
  }

  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::string> known_names() const { return {names_.begin(), names_.end()}; }
  const std::set<std::string>& unread() const { return unread_; }

 private:
  std::optional<ManifestTensor> tensor_in(const std::string& blob) {
    if (is_zero(blob)) return std::nullopt;
    const auto known = tensors_.find(blob);
    if (known != tensors_.end()) return known->second;
    std::optional<ManifestTensor> found;
    const Result<std::optional<std::string>> text = repository_.blob(blob);
    if (text && *text && (*text)->starts_with(versions::kManifestBegin)) {
      const Result<Manifest> manifest = versions::parse_manifest(**text);
      if (manifest) {
        for (const ManifestTensor& tensor : manifest->tensors) names_.insert(tensor.name);
        if (const ManifestTensor* tensor = manifest->find(tensor_)) found = *tensor;
      }
    }
    return tensors_.emplace(blob, std::move(found)).first->second;
  }

  TensorChange compare_one(const std::optional<ManifestTensor>& before,
                           const std::optional<ManifestTensor>& after) {
    const auto source = [&](const std::optional<ManifestTensor>& tensor) {
      Manifest manifest = Source::absent(store_).manifest();
      if (tensor) manifest.tensors.push_back(*tensor);
      return Source(store_, std::move(manifest));
    };
    versions::Difference difference =
        compare(source(before), source(after), {.threads = repository_.settings().threads});
    unread_.insert(difference.unread.begin(), difference.unread.end());
    return std::move(difference.tensors.front());
  }

  Repository& repository_;
  versions::ObjectStore store_;
  std::string tensor_;
  std::map<std::string, std::optional<ManifestTensor>> tensors_;  // by blob
  std::set<std::string> names_;
  std::set<std::string> unread_;
  std::vector<Entry> entries_;
};

std::string table_of(const std::vector<Entry>& entries) {
  std::vector<std::vector<std::string>> rows = {
      {"commit", "date", "change", "entries", "|delta|/|old|", "file", "subject"}};
  for (const Entry& entry : entries) {
    const auto& moved = entry.change.movement;
    const bool sums = moved && versions::has_sums(entry.change.after->dtype);
    rows.push_back({entry.commit->id.substr(0, 12),
                    entry.commit->date,
                    std::string(name(entry.change.change)),
                    moved ? percent(moved->changed_share()) : "-",
                    sums ? short_number(moved->relative()) : "-",
                    entry.path,
                    entry.commit->subject});
  }
  return cli::without_control_bytes(cli::table(rows));
}

Json json_of(const std::vector<Entry>& entries) {
  Json list = Json::array();
  for (const Entry& entry : entries) {
    const auto& moved = entry.change.movement;
    const bool sums = moved && versions::has_sums(entry.change.after->dtype);
    list.push_back({{"commit", entry.commit->id},
                    {"date", entry.commit->date},
                    {"subject", entry.commit->subject},
                    {"path", entry.path},
                    {"change", std::string(name(entry.change.change))},
                    {"changed_share", moved ? Json(moved->changed_share()) : Json()},
                    {"relative", sums ? Json(moved->relative()) : Json()}});
  }
  return list;
}

Result<int> run_log(const Arguments& arguments) {
  const cli::Console& console = arguments.console;
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const std::string& tensor = arguments.positional[0];
  std::vector<std::string> words;
  if (!repository->prefix().empty()) words = {"-C", repository->prefix()};
  words.insert(words.end(), kRawLog.begin(), kRawLog.end());
  words.insert(words.end(), arguments.positional.begin() + 1, arguments.positional.end());
  Result<Answer> answer = repository->git(std::move(words));
  if (!answer) return std::move(answer).error();
  if (!answer->ok())
    return Error{.kind = ErrorKind::usage,
                 .what = answer->words(),
                 .hint = "name revisions or paths, as for `git log`"};
  Result<std::vector<CommitChange>> commits = parse_raw_log(answer->out);
  if (!commits) return std::move(commits).error();
  History history(*repository, tensor);
  for (const CommitChange& commit : *commits) history.look(commit);
  if (history.entries().empty())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("no commit here has a tensor \"{}\"", tensor),
                 .hint = "`git show HEAD:PATH` lists the tensors of a file" +
                         did_you_mean(tensor, history.known_names())};
  for (const std::string& reason : history.unread()) console.note("not compared: " + reason);
  if (console.json)
    console.print_json({{"schema", "ration.git-log/1"},
                        {"tensor", tensor},
                        {"commits", json_of(history.entries())}});
  else
    console.print(table_of(history.entries()));
  return 0;
}

}  // namespace

cli::Command log_command() {
  return {.name = "log",
          .summary = "List the commits that changed a tensor, and how far it moved",
          .arguments = "TENSOR [REV …] [PATH …]",
          .min_arguments = 1,
          .max_arguments = 1000,
          .description =
              "Words behind the tensor are those of `git log`. A merge is listed where it has a\n"
              "value that none of its parents has, compared with the first of them.\n"
              "\n"
              "  git ration log model.layers.0.attn.weight",
          .execute = run_log};
}

}  // namespace ration::git
