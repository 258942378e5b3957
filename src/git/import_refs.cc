#include "git/import_refs.h"

#include <fmt/format.h>

#include <algorithm>

#include "git/installation.h"

namespace ration::git {
namespace {

constexpr std::string_view kOriginal = "refs/original/";

Error refusal(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Branches and tags that lead to commits.
Result<std::vector<ImportedRef>> all_refs(const Repository& repository) {
  Result<std::string> listed =
      repository.ask({"for-each-ref",
                      "--format=%(refname) %(objectname) %(objecttype) %(*objecttype)",
                      "refs/heads",
                      "refs/tags"});
  if (!listed) return std::move(listed).error();
  std::vector<ImportedRef> refs;
  for (const std::string& line : lines_of(*listed)) {
    const std::size_t id = line.find(' ') + 1;
    const std::size_t type = line.find(' ', id) + 1;
    const std::string_view types = std::string_view(line).substr(type);
    // A tag of a tag counts as one of a commit, which it is but for curiosities.
    if (types == "commit " || types == "tag commit" || types == "tag tag")
      refs.push_back({line.substr(0, id - 1), line.substr(id, type - id - 1)});
  }
  return refs;
}

// "refs/heads/main" of "main"; empty where it stands for no ref.
std::string full_name(const Repository& repository, const std::string& name) {
  if (name.starts_with('-')) return "";  // no ref is named so
  return repository.ask({"rev-parse", "--symbolic-full-name", name}).value_or("");
}

std::string head_branch(const Repository& repository) {
  return repository.ask({"symbolic-ref", "--quiet", "HEAD"}).value_or("");
}

bool holds(const std::vector<ImportedRef>& refs, std::string_view name) {
  return std::any_of(
      refs.begin(), refs.end(), [&](const ImportedRef& ref) { return ref.name == name; });
}

// Old refs that are where the refs themselves are come from an import that was cut off before it
// moved anything.
Result<void> check_no_originals(const Repository& repository) {
  Result<std::string> listed =
      repository.ask({"for-each-ref", "--format=%(objectname) %(refname)", "refs/original"});
  if (!listed) return std::move(listed).error();
  for (const std::string& line : lines_of(*listed)) {
    const std::size_t blank = line.find(' ');
    const std::string name = line.substr(blank + 1);
    const Result<std::string> now =
        repository.ask({"rev-parse", "--verify", "--quiet", name.substr(kOriginal.size())});
    if (!now || *now != line.substr(0, blank))
      return refusal(fmt::format("{} is there: history was rewritten before", name),
                     "remove the old refs when you do not need them any more (`git ration help "
                     "import` says how), or replace them with --force");
  }
  return {};
}

Result<void> check_clean(const Repository& repository) {
  Result<std::string> status = repository.ask(
      {"status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"});
  if (!status) return std::move(status).error();
  if (!status->empty()) {
    const std::string old = std::string(kOriginal) + head_branch(repository);
    const Result<Answer> earlier = repository.git({"rev-parse", "--verify", "--quiet", old});
    return refusal(
        "there are changes in the work tree or the index",
        earlier && earlier->ok()
            ? "commit them first; should an import have been cut off, `git reset --hard` "
              "ends its work"
            : "commit or stash them, then repeat the command");
  }
  const Result<Path> top = repository.work_tree();
  const Result<Answer> known = repository.git({"ls-files", "--error-unmatch", ".gitattributes"});
  if (top && real_files().exists(*top / ".gitattributes") && known && !known->ok())
    return refusal(".gitattributes is not in git, and would be replaced",
                   "commit it, or move it away");
  return {};
}

// Their files would not be those of their branches any more.
Result<void> check_other_worktrees(const Repository& repository,
                                   const std::vector<ImportedRef>& refs) {
  Result<std::string> listed = repository.ask({"worktree", "list", "--porcelain"});
  if (!listed) return std::move(listed).error();
  constexpr std::string_view kWorktree = "worktree ";
  constexpr std::string_view kBranch = "branch ";
  const std::string own = repository.work_tree().value_or(repository.git_dir()).string();
  std::string worktree;
  for (const std::string& line : lines_of(*listed)) {
    if (line.starts_with(kWorktree)) worktree = line.substr(kWorktree.size());
    if (line.starts_with(kBranch) && worktree != own && holds(refs, line.substr(kBranch.size())))
      return refusal(fmt::format("{} is checked out in {}", line.substr(kBranch.size()), worktree),
                     "run `git switch --detach` there first");
  }
  return {};
}

// Fields of `git diff-index --raw -z`: what differs between the index and HEAD, as HEAD has it.
struct HeadEntry {
  std::string mode;
  std::string id;
  std::string path;
};

Result<std::vector<HeadEntry>> differences_to_head(const Repository& repository) {
  Result<std::string> raw = repository.ask(
      {"diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "HEAD", "--"});
  if (!raw) return std::move(raw).error();
  // ":<mode of HEAD> <mode> <id of HEAD> <id> <letter>" and the path, for each.
  const std::vector<std::string> fields = fields_of(*raw);
  std::vector<HeadEntry> entries;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string& field = fields[i];
    const std::size_t id = field.find(' ', field.find(' ') + 1) + 1;
    entries.push_back({field.substr(1, field.find(' ') - 1),
                       field.substr(id, field.find(' ', id) - id),
                       fields[i + 1]});
  }
  return entries;
}

bool is_attributes(const std::string& path) {
  return path == ".gitattributes" || path.ends_with("/.gitattributes");
}

Result<void> check_out(const Repository& repository, const std::string& paths) {
  if (paths.empty()) return {};
  Result<std::string> done =
      repository.ask({"checkout-index", "--force", "--index", "-z", "--stdin"}, paths);
  if (!done) return std::move(done).error();
  return {};
}

}  // namespace

Result<std::vector<ImportedRef>> refs_to_import(const Repository& repository,
                                                const std::vector<std::string>& names,
                                                bool everything) {
  Result<std::vector<ImportedRef>> all = all_refs(repository);
  if (!all || everything) return all;
  std::vector<std::string> wanted;
  for (const std::string& name : names) wanted.push_back(full_name(repository, name));
  if (names.empty()) wanted.push_back(head_branch(repository));
  std::vector<ImportedRef> refs;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (holds(refs, wanted[i])) continue;
    const auto found = std::find_if(
        all->begin(), all->end(), [&](const ImportedRef& ref) { return ref.name == wanted[i]; });
    if (found == all->end())
      return refusal(names.empty() ? "HEAD is no branch that has commits"
                                   : fmt::format("{} is no branch or tag with commits", names[i]),
                     "name branches and tags with --ref, or take all with --everything");
    refs.push_back(*found);
  }
  return refs;
}

Result<std::vector<std::string>> other_branches(const Repository& repository,
                                                const std::vector<ImportedRef>& refs) {
  Result<std::vector<ImportedRef>> all = all_refs(repository);
  if (!all) return std::move(all).error();
  std::vector<std::string> others;
  for (const ImportedRef& ref : *all)
    if (ref.name.starts_with("refs/heads/") && !holds(refs, ref.name)) others.push_back(ref.name);
  return others;
}

Result<void> check_may_import(const Repository& repository,
                              const std::vector<ImportedRef>& refs,
                              bool force) {
  if (repository.ask({"rev-parse", "--is-shallow-repository"}).value_or("") == "true")
    return refusal("this clone is shallow: the beginning of its history is not here",
                   "get it with `git fetch --unshallow`; a rewriting without it would give commits "
                   "that no other clone has");
  if (!force)
    if (Result<void> done = check_no_originals(repository); !done) return done;
  if (Result<void> done = check_other_worktrees(repository, refs); !done) return done;
  if (!is_checked_out(repository, refs)) return {};
  if (repository.ask({"config", "--type=bool", "core.sparseCheckout"}).value_or("") == "true")
    return refusal("the work tree is sparse", "run `git sparse-checkout disable` first");
  const Result<bool> installed = is_installed(repository);
  if (!installed) return installed.error();
  if (!*installed)
    return refusal("git does not call git-ration here",
                   "run `git ration install` first, so that the work tree can follow");
  return check_clean(repository);
}

Result<void> move_refs(const Repository& repository,
                       const std::vector<ImportedRef>& refs,
                       const std::map<std::string, std::string>& new_ids) {
  std::string originals = "start\n";
  std::string moves;
  for (const ImportedRef& ref : refs) {
    originals += fmt::format("update {}{} {}\n", kOriginal, ref.name, ref.id);
    moves += fmt::format("update {} {} {}\n", ref.name, new_ids.at(ref.name), ref.id);
  }
  Result<std::string> done = repository.ask({"update-ref", "-m", "ration import", "--stdin"},
                                            originals + moves + "prepare\ncommit\n");
  if (!done)
    return std::move(done).error().with_context(
        "while moving branches and tags, none of which did");
  return {};
}

bool is_checked_out(const Repository& repository, const std::vector<ImportedRef>& refs) {
  return repository.work_tree().has_value() && holds(refs, head_branch(repository));
}

Result<void> follow_head(const Repository& repository, const std::vector<std::string>& leave) {
  Result<std::vector<HeadEntry>> entries = differences_to_head(repository);
  if (!entries) return std::move(entries).error();
  std::string index_info;
  std::string attributes;
  for (const HeadEntry& entry : *entries) {
    index_info += fmt::format("{} {}\t{}", entry.mode, entry.id, entry.path) + '\0';
    if (is_attributes(entry.path)) attributes += entry.path + '\0';
  }
  Result<std::string> done = repository.ask({"update-index", "-z", "--index-info"}, index_info);
  if (!done) return std::move(done).error();
  // The attributes decide how git looks at the files, so they come first.
  if (Result<void> out = check_out(repository, attributes); !out) return out;
  const Result<Answer> refreshed = repository.git({"update-index", "-q", "--refresh"});
  if (!refreshed) return refreshed.error();
  Result<std::string> differing = repository.ask({"diff-files", "--name-only", "-z"});
  if (!differing) return std::move(differing).error();
  std::string paths;
  for (const std::string& path : fields_of(*differing))
    if (std::find(leave.begin(), leave.end(), path) == leave.end()) paths += path + '\0';
  return check_out(repository, paths);
}

}  // namespace ration::git
