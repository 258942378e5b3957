#include "git/installation.h"

#include <sys/stat.h>

#include <cerrno>

namespace ration::git {
namespace {

constexpr std::string_view kCall = "git-ration pre-push";
constexpr std::string_view kHook =
    "#!/bin/sh\n"
    "# Written by `git ration install`: objects are sent before the commits that name them.\n"
    "if ! command -v git-ration >/dev/null; then\n"
    "  echo >&2 'git-ration is not on PATH: install it, or remove the hook pre-push'\n"
    "  exit 2\n"
    "fi\n"
    "exec git-ration pre-push \"$@\"\n";

}  // namespace

const std::vector<std::pair<std::string, std::string>>& installed_keys() {
  static const std::vector<std::pair<std::string, std::string>> keys = {
      {"filter.ration.process", "git-ration filter-process"},
      // What other programs than git understand.
      {"filter.ration.clean", "git-ration clean %f"},
      {"filter.ration.smudge", "git-ration smudge %f"},
      // Without the program git must not take a checkpoint for what it stores, nor the reverse.
      {"filter.ration.required", "true"},
      // No textconv: git would check out both versions to get what the manifests say anyway.
      {"diff.ration.command", "git-ration diff-driver --"},
      {"merge.ration.name", "checkpoints, tensor by tensor"},
      {"merge.ration.driver", "git-ration merge-driver -- %O %A %B %L %P"},
      // Where histories cross, git first merges the common ancestors.
      {"merge.ration.recursive", "ration-ancestor"},
      {"merge.ration-ancestor.name", "common ancestors of checkpoints"},
      {"merge.ration-ancestor.driver", "git-ration merge-driver --ancestor -- %O %A %B %L %P"},
  };
  return keys;
}

Result<bool> is_installed(const Repository& repository) {
  Result<Answer> answer = repository.git({"config", "--get", installed_keys().front().first});
  if (!answer) return std::move(answer).error();
  return answer->ok() && !answer->out.empty();
}

Result<Hook> find_hook(const Repository& repository) {
  // A relative answer counts from where git runs.
  Result<std::string> folder = repository.ask({"rev-parse", "--git-path", "hooks"});
  if (!folder) return std::move(folder).error();
  Hook hook{.path = repository.folder() / *folder / "pre-push"};
  if (!real_files().exists(hook.path)) return hook;
  Result<std::string> text = real_files().read(hook.path);
  if (!text) return std::move(text).error();
  hook.state = *text == kHook                                           ? HookState::ours
               : text->find(kCall) != std::string::npos                 ? HookState::chained
               : text->find("git ration pre-push") != std::string::npos ? HookState::chained
                                                                        : HookState::foreign;
  return hook;
}

Result<void> write_hook(const Hook& hook) {
  if (hook.state != HookState::none) return {};
  Result<void> done = real_files().make_folders(hook.path.parent_path());
  if (done) done = real_files().write_whole(hook.path, kHook);
  if (done && chmod(hook.path.c_str(), 0755) != 0)
    return system_error("make executable", hook.path, errno);
  return done;
}

Result<void> remove_hook(const Hook& hook) {
  return hook.state == HookState::ours ? real_files().remove_all(hook.path) : Result<void>();
}

}  // namespace ration::git
