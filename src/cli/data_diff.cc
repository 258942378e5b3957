#include <fmt/format.h>

#include <map>

#include "cli/commands.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "data/manifest.h"
#include "data/text_folder.h"

namespace ration::cli {
namespace {

using data::Manifest;

struct Difference {
  std::string what;
  Json first;
  Json second;
};

struct Sources {
  std::vector<std::string> removed;
  std::vector<std::string> added;
  std::vector<std::string> changed;  // another text
  std::vector<std::string> moved;    // the same text, used otherwise
  std::int64_t same = 0;
};

Json facts(const Manifest& manifest) {
  Json all = {{"tokenizer", manifest.tokenizer},
              {"tokenizer_sha256", manifest.tokenizer_sha256},
              {"vocabulary", manifest.vocab},
              {"training tokens", manifest.train.tokens},
              {"training documents", manifest.train.documents},
              {"training text bytes", manifest.train_text_bytes},
              {"held-out tokens", manifest.val.tokens},
              {"held-out documents", manifest.val.documents},
              {"held-out text bytes", manifest.val_text_bytes},
              {"held-out tokens_sha256", manifest.val.tokens_sha256},
              {"duplicates removed", manifest.duplicates_removed}};
  for (const auto& [group, value] : manifest.provenance.items()) {
    if (!value.is_object()) {
      all[group] = value;
      continue;
    }
    for (const auto& [name, member] : value.items()) all[group + "." + name] = member;
  }
  return all;
}

std::vector<Difference> differences(const Manifest& first, const Manifest& second) {
  const Json a = facts(first);
  const Json b = facts(second);
  Json names = a;
  names.update(b);
  std::vector<Difference> all;
  for (const auto& [name, ignored] : names.items()) {
    const Json one = a.value(name, Json());
    const Json other = b.value(name, Json());
    if (one != other) all.push_back({name, one, other});
  }
  return all;
}

Sources compare_sources(const Manifest& first, const Manifest& second) {
  Sources result;
  std::map<std::string, const data::SourceFile*> before;
  for (const data::SourceFile& source : first.sources) before.emplace(source.path, &source);
  for (const data::SourceFile& source : second.sources) {
    const auto found = before.find(source.path);
    if (found == before.end()) {
      result.added.push_back(source.path);
      continue;
    }
    if (found->second->sha256 != source.sha256)
      result.changed.push_back(source.path);
    else if (*found->second != source)
      result.moved.push_back(source.path);
    else
      ++result.same;
    before.erase(found);
  }
  for (const auto& [path, source] : before) result.removed.push_back(path);
  return result;
}

std::string paths_text(const std::string& what, const std::vector<std::string>& paths) {
  constexpr std::size_t kShown = 10;
  if (paths.empty()) return "";
  std::string text = fmt::format("{} files {}:\n", paths.size(), what);
  for (std::size_t i = 0; i < std::min(kShown, paths.size()); ++i) text += "  " + paths[i] + "\n";
  return paths.size() > kShown ? text + "  …\n" : text;
}

std::string short_text(const Json& value) {
  if (value.is_null()) return "-";
  constexpr std::size_t kMost = 200;
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (value.is_array() && !value.empty() && value[0].is_object() && value[0].contains("text")) {
    text.clear();  // the steps of filters
    for (const Json& step : value)
      text += (text.empty() ? "" : " ") + step.value("text", std::string());
  }
  if (text.size() <= kMost) return text;
  return text.substr(0, data::whole_characters(text, kMost)) + "…";
}

Result<int> run_diff(const Arguments& arguments) {
  std::vector<Manifest> manifests;
  for (const std::string& folder : arguments.positional) {
    Result<Manifest> manifest = data::read_manifest(real_files(), folder);
    if (!manifest) return std::move(manifest).error();
    manifests.push_back(*std::move(manifest));
  }
  const Console& console = arguments.console;
  const bool same = manifests[0].digest == manifests[1].digest;
  const std::vector<Difference> all = differences(manifests[0], manifests[1]);
  const Sources sources = compare_sources(manifests[0], manifests[1]);
  if (console.json) {
    Json list = Json::array();
    for (const Difference& one : all)
      list.push_back({{"what", one.what}, {"first", one.first}, {"second", one.second}});
    console.print_json({{"schema", "ration.diff/1"},
                        {"same_tokens", same},
                        {"digests", {manifests[0].digest, manifests[1].digest}},
                        {"differences", std::move(list)},
                        {"sources",
                         {{"same", sources.same},
                          {"removed", sources.removed},
                          {"added", sources.added},
                          {"changed", sources.changed},
                          {"used_otherwise", sources.moved}}}});
    return 0;
  }
  if (console.quiet) {
    console.print(same ? "same\n" : "different\n");
    return 0;
  }
  std::string text = same ? "A model sees the same tokens in both.\n"
                          : "A model sees other tokens in each; runs on both are different runs.\n";
  if (!all.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"", arguments.positional[0], arguments.positional[1]}};
    for (const Difference& one : all)
      rows.push_back({one.what, short_text(one.first), short_text(one.second)});
    text += "\n" + table(rows);
  }
  const std::string files = paths_text("only in the first", sources.removed) +
                            paths_text("only in the second", sources.added) +
                            paths_text("with another text", sources.changed) +
                            paths_text("used otherwise", sources.moved);
  if (!files.empty()) text += "\n" + files;
  text += fmt::format("\n{} files alike\n", sources.same);
  console.print(without_control_bytes(text));
  return 0;
}

}  // namespace

Command data_diff_command() {
  return {.name = "data diff",
          .summary = "Say what differs between two folders of prepared data",
          .arguments = "DIR DIR",
          .min_arguments = 2,
          .max_arguments = 2,
          .options = {},
          .description =
              "Compares options, tokenizer, counts and sources by the manifests; reads "
              "no tokens. Exits with 0 whether they differ or not.\n"
              "\n"
              "  ration data diff data/old data/new",
          .execute = run_diff};
}

}  // namespace ration::cli
