#pragma once

// The repository that a command or a filter works in, seen through git itself.
//
//   Result<Repository> repository = Repository::discover();
//   const versions::ObjectStore store = repository->store();
//   Result<std::optional<std::string>> head = repository->blob("HEAD:models/a.safetensors");

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "base/files.h"
#include "git/cat_file.h"
#include "git/settings.h"
#include "versions/object_store.h"

namespace ration::git {

// Seconds after which a git that says nothing is given up, unless told otherwise.
constexpr double kPatience = 600;

class Repository {
 public:
  // The repository that `folder` lies in, or that git's environment names. ErrorKind::usage where
  // there is none, or its settings of ration are wrong.
  static Result<Repository> discover(const Path& folder = ".");

  const Path& git_dir() const { return git_dir_; }        // of this worktree
  const Path& common_dir() const { return common_dir_; }  // shared by all worktrees
  // The top of the work tree; ErrorKind::usage in a bare repository.
  Result<Path> work_tree() const;
  // Where git runs: the top of the work tree, or the git folder of a bare repository.
  const Path& folder() const { return folder_; }
  // Where the command was typed, below the top: "" or "models/".
  const std::string& prefix() const { return prefix_; }
  const Settings& settings() const { return settings_; }

  // <common dir>/ration: objects/, recent/ and tmp/.
  Path store_folder() const { return common_dir_ / "ration"; }
  versions::ObjectStore store() const;

  // Runs `git WORD…` in folder().
  Result<Answer> git(std::vector<std::string> words,
                     std::string_view input = {},
                     double seconds = kPatience) const;
  // What it prints, without the last newline. ErrorKind::resource where it fails.
  Result<std::string> ask(std::vector<std::string> words, std::string_view input = {}) const;

  // The blob that a name of git's stands for; nothing where there is none. See CatFile::blob().
  Result<std::optional<std::string>> blob(std::string_view name,
                                          std::uint64_t limit = std::uint64_t{1} << 30,
                                          std::string_view begin = {});

  // The values of one attribute for several paths below the top, as .gitattributes has them:
  // "unspecified", "set", "unset", or a value.
  Result<std::vector<std::string>> attribute(const std::string& name,
                                             const std::vector<std::string>& paths) const;

 private:
  Repository() = default;

  Path folder_;
  Path git_dir_;
  Path common_dir_;
  std::optional<Path> work_tree_;
  std::string prefix_;
  Settings settings_;
  std::unique_ptr<CatFile> cat_file_;
};

// What git prints, line by line, without newlines.
std::vector<std::string> lines_of(std::string_view text);

// The fields of git's lists under -z.
std::vector<std::string> fields_of(std::string_view text);

// A path as typed in a folder of the work tree (`prefix` of the repository), from its top.
// ErrorKind::usage where it lies outside.
Result<std::string> path_from_top(const Repository& repository, const std::string& typed);

}  // namespace ration::git
