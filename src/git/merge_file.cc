#include "git/merge_file.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "cli/terminal_text.h"
#include "git/missing.h"
#include "versions/keep.h"

namespace ration::git {
namespace {

using versions::Ancestor;
using versions::Manifest;

// A file of checkpoints becomes stored objects and the manifest of them.
Result<Ancestor> read_side(const Repository& repository, const Path& file) {
  const versions::ObjectStore store = repository.store();
  Result<std::string> begin = store.files().read_range(file, 0, versions::kManifestBegin.size());
  if (!begin) return std::move(begin).error();
  if (begin->empty()) return Ancestor{.manifest = {}};
  if (*begin == versions::kManifestBegin || begin->starts_with(versions::kConflictBegin)) {
    Result<std::string> text = store.files().read(file);
    if (!text) return std::move(text).error();
    return versions::parse_ancestor(*text);
  }
  Result<versions::Kept> kept =
      versions::keep(store, file, {.threads = repository.settings().threads});
  if (!kept) return std::move(kept).error();
  return Ancestor{.manifest = std::move(kept->manifest)};
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i)
    text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

std::string conflict_report(const std::string& path, const versions::MergedVersion& merged) {
  std::string text = fmt::format("{}: {}\n", path, counted(merged.conflicts.size(), "conflict"));
  for (const versions::MergeConflict& conflict : merged.conflicts)
    text += fmt::format("  {}: {}\n", conflict.what, conflict.reason);
  text += fmt::format(
      "Ours stays in the work tree. To see what the two sides have:\n"
      "  git ration diff :2:{0} :3:{0}\n"
      "  git ration export :3:{0} FILE    (:1: is the common ancestor, :2: ours)\n"
      "To merge again by a strategy (ours, theirs, base, average, task, ties):\n"
      "  git ration merge --strategy average {0}\n",
      path);
  return text;
}

}  // namespace

Result<versions::Strategy> strategy_for(const Repository& repository, const std::string& path) {
  Result<std::vector<std::string>> values = repository.attribute("ration-merge", {path});
  if (!values) return std::move(values).error();
  const std::string& value = values->front();
  const bool given = value != "unspecified" && value != "unset" && value != "set";
  Result<versions::Strategy> strategy =
      versions::parse_strategy(given ? value : repository.settings().merge);
  if (strategy) return strategy;
  return std::move(strategy).error().with_context(given ? "attribute ration-merge"
                                                        : "ration.merge");
}

Result<versions::MergedVersion> merge_file(const Repository& repository,
                                           const MergeTexts& texts,
                                           const versions::Strategy& strategy,
                                           bool ancestor) {
  Result<Ancestor> base = read_side(repository, texts.base);
  if (!base) return std::move(base).error().with_context("the common ancestor");
  Result<Ancestor> ours = read_side(repository, texts.ours);
  if (!ours) return std::move(ours).error().with_context("ours");
  Result<Ancestor> theirs = read_side(repository, texts.theirs);
  if (!theirs) return std::move(theirs).error().with_context("theirs");
  // Of more than two common ancestors, a side may be what a merge of two of them left.
  const auto unclear = [](const Ancestor& side, Ancestor& to) {
    to.unclear_tensors.insert(side.unclear_tensors.begin(), side.unclear_tensors.end());
    to.unclear_keys.insert(side.unclear_keys.begin(), side.unclear_keys.end());
  };
  for (const Ancestor& side : {*ours, *theirs}) unclear(side, *base);
  const std::array manifests = {ours->manifest, theirs->manifest, base->manifest};
  if (Result<void> done = fetch_missing(repository, manifests); !done)
    return std::move(done).error();
  Result<versions::MergedVersion> merged =
      merge_versions(repository.store(),
                     {*base, ours->manifest, theirs->manifest},
                     strategy,
                     {.threads = repository.settings().threads, .ancestor = ancestor});
  if (!merged) return std::move(merged).error();
  for (const Ancestor& side : {*ours, *theirs}) unclear(side, merged->result);
  return merged;
}

std::string merge_report(const std::string& path,
                         const versions::MergedVersion& merged,
                         const versions::Strategy& strategy) {
  std::string text;
  if (!merged.conflicts.empty()) {
    text = conflict_report(path, merged);
  } else {
    if (!merged.from_theirs.empty())
      text += fmt::format("{}: {} from theirs: {}\n",
                          path,
                          counted(merged.from_theirs.size(), "tensor"),
                          listed(merged.from_theirs));
    if (!merged.mixed.empty())
      text += fmt::format("{}: {} by {}: {}\n",
                          path,
                          counted(merged.mixed.size(), "tensor"),
                          to_text(strategy),
                          listed(merged.mixed));
  }
  return cli::without_control_bytes(text);
}

Json to_json(const std::string& path, const versions::MergedVersion& merged) {
  Json conflicts = Json::array();
  for (const versions::MergeConflict& conflict : merged.conflicts)
    conflicts.push_back({{"what", conflict.what}, {"reason", conflict.reason}});
  return {{"path", path},
          {"conflicts", std::move(conflicts)},
          {"mixed", merged.mixed},
          {"from_theirs", merged.from_theirs}};
}

}  // namespace ration::git
