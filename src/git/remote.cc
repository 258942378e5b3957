#include "git/remote.h"

#include <fmt/format.h>

namespace ration::git {
namespace {

constexpr std::string_view kDirectory = "directory ";

// Of a remote of git, or what was typed, which git takes for a URL or a path.
Result<std::string> url_of(const Repository& repository, const std::string& name, Way way) {
  std::vector<std::string> words = {"remote", "get-url", name};
  if (way == Way::push) words.insert(words.end() - 1, "--push");
  Result<Answer> answer = repository.git(std::move(words));
  if (!answer) return std::move(answer).error();
  if (!answer->ok()) return name;
  return answer->out.substr(0, answer->out.find('\n'));
}

}  // namespace

std::string usual_remote(const Repository& repository) {
  const std::string branch =
      repository.ask({"symbolic-ref", "--quiet", "--short", "HEAD"}).value_or("");
  const std::string own =
      branch.empty() ? "" : repository.ask({"config", "branch." + branch + ".remote"}).value_or("");
  if (!own.empty() && own != ".") return own;
  const std::string all = repository.ask({"remote"}).value_or("");
  return all.empty() || all.find('\n') != std::string::npos ? "origin" : all;
}

Result<std::unique_ptr<Remote>> open_remote(const Repository& repository,
                                            const std::string& name,
                                            Way way) {
  const std::string& kind = repository.settings().remote;
  const std::string ways = "`git config ration.remote git`, or lfs, or \"directory PATH\"";
  if (kind.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "no place is set for the objects of checkpoints",
                 .hint = ways};
  if (kind.starts_with(kDirectory)) {
    const Path folder = kind.substr(kDirectory.size());
    Result<Path> top = repository.work_tree();
    return directory_remote(folder.is_absolute() || !top ? folder : *top / folder);
  }
  Result<std::string> url = url_of(repository, name, way);
  if (!url) return std::move(url).error();
  if (kind == "git") return git_remote(repository, *url);
  if (kind == "lfs") return lfs_remote(repository, name, *url);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("git's setting ration.remote is \"{}\"", kind),
               .hint = ways};
}

}  // namespace ration::git
