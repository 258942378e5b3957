#include "git/import_paths.h"

#include <fmt/format.h>

#include <algorithm>

#include "git/attributes_file.h"

namespace ration::git {
namespace {

// The attribute `filter` of paths, as `git WORD…` tells it in the workshop.
Result<std::vector<std::string>> filters(const Workshop& workshop,
                                         const std::vector<std::string>& words,
                                         const std::vector<std::string>& paths) {
  std::string input;
  for (const std::string& path : paths) input += path + '\0';
  Result<std::string> answer = workshop.ask(words, input);
  if (!answer) return std::move(answer).error();
  // Path, attribute, value for each.
  const std::vector<std::string> fields = fields_of(*answer);
  std::vector<std::string> values;
  for (std::size_t i = 2; i < fields.size(); i += 3) values.push_back(fields[i]);
  if (values.size() == paths.size()) return values;
  return Error{.kind = ErrorKind::internal, .what = "git check-attr left paths out"};
}

// Of the lines of `git ls-files --stage -z`: files that are no links and no submodules.
std::vector<std::string> regular_files(std::string_view listed, const PathSet& matching) {
  std::vector<std::string> paths;
  for (const std::string& field : fields_of(listed)) {
    std::string path = field.substr(std::min(field.size(), field.find('\t') + 1));
    if (field.starts_with("100") && matching.contains(path)) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

Result<PathSet> matching_paths(const Workshop& workshop,
                               const std::vector<std::string>& patterns,
                               const std::vector<std::string>& paths) {
  std::string attributes;
  for (const std::string& pattern : patterns) {
    Result<std::string> more = with_pattern(attributes, pattern);
    if (!more) return std::move(more).error();
    attributes = std::move(*more);
  }
  const Path file = workshop.folder() / "patterns";
  if (Result<void> done = real_files().write_whole(file, attributes); !done)
    return std::move(done).error();
  std::vector<std::string> asked = {".gitattributes"};
  asked.insert(asked.end(), paths.begin(), paths.end());
  const Result<std::vector<std::string>> values = filters(
      workshop,
      {"-c", "core.attributesFile=" + file.string(), "check-attr", "-z", "--stdin", "filter"},
      asked);
  if (!values) return values.error();
  if (values->front() == "ration")
    return Error{.kind = ErrorKind::usage,
                 .what = "a pattern means .gitattributes, too, which git itself must read",
                 .hint = "name the files more closely, for example by '*.safetensors'"};
  PathSet matching;
  for (std::size_t i = 1; i < asked.size(); ++i)
    if ((*values)[i] == "ration") matching.insert(asked[i]);
  return matching;
}

Result<void> check_no_other_filter(const Repository& repository, const PathSet& matching) {
  Result<std::string> listed = repository.ask({"ls-files", "--stage", "-z"});
  if (!listed) return std::move(listed).error();
  const std::vector<std::string> paths = regular_files(*listed, matching);
  const Result<std::vector<std::string>> values = repository.attribute("filter", paths);
  if (!values) return values.error();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string& value = (*values)[i];
    if (value != "unspecified" && value != "unset" && value != "set" && value != "lfs" &&
        value != "ration")
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{} goes through the filter \"{}\": what git has of it is "
                                       "not the file",
                                       paths[i],
                                       value),
                   .hint =
                       "leave such files out of the patterns, or take the filter away in a "
                       "commit first"};
  }
  return {};
}

Result<void> check_tree(const Workshop& workshop,
                        const std::string& tree,
                        const PathSet& matching) {
  Result<std::string> read = workshop.ask({"read-tree", tree});
  if (!read) return std::move(read).error();
  Result<std::string> listed = workshop.ask({"ls-files", "--stage", "-z"});
  if (!listed) return std::move(listed).error();
  const std::vector<std::string> paths = regular_files(*listed, matching);
  if (paths.empty()) return {};
  const Result<std::vector<std::string>> values =
      filters(workshop, {"check-attr", "--cached", "-z", "--stdin", "filter"}, paths);
  if (!values) return values.error();
  for (std::size_t i = 0; i < paths.size(); ++i)
    if ((*values)[i] != "ration")
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{} would still have filter={}, by another line of a "
                                       ".gitattributes; nothing was rewritten",
                                       paths[i],
                                       (*values)[i]),
                   .hint =
                       "`git check-attr filter` and the .gitattributes above the file tell "
                       "which; change or remove that line in a commit, then repeat the "
                       "command"};
  return {};
}

}  // namespace ration::git
