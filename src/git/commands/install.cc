#include <fmt/format.h>

#include "git/commands.h"
#include "git/installation.h"

namespace ration::git {
namespace {

using cli::Arguments;

// Where settings go, and the repository unless there is none and none is needed.
struct Target {
  std::string scope;
  std::optional<Repository> repository;
};

Result<Target> target_of(const Arguments& arguments) {
  if (arguments.flag("local") && arguments.flag("global"))
    return Error{.kind = ErrorKind::usage,
                 .what = "--local and --global exclude each other",
                 .hint = "--global is for all repositories of yours, and new clones"};
  Target target{.scope = arguments.flag("global") ? "--global" : "--local", .repository = {}};
  Result<Repository> repository = Repository::discover();
  if (repository)
    target.repository = std::move(*repository);
  else if (target.scope == "--local")
    return std::move(repository).error();
  return target;
}

Result<void> configure(const std::vector<std::string>& words) {
  std::vector<std::string> all = {"git", "config"};
  all.insert(all.end(), words.begin(), words.end());
  const Result<Answer> answer = call(all, kPatience);
  if (!answer) return answer.error();
  // 5: there was nothing to remove.
  if (answer->ok() || answer->status == 5) return {};
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("`{}` failed: {}", fmt::join(all, " "), answer->words())};
}

void tell_of_hook(const Hook& hook, const cli::Console& console) {
  if (hook.state == HookState::foreign)
    console.note(
        fmt::format("{} is a hook of another program and stays as it is; for objects to be sent "
                    "with pushes, add the line\n    git-ration pre-push \"$@\" || exit\n"
                    "where its standard input has not been read yet",
                    hook.path.string()));
}

Result<int> run_install(const Arguments& arguments) {
  Result<Target> target = target_of(arguments);
  if (!target) return std::move(target).error();
  std::optional<Hook> hook;
  if (target->repository && !arguments.flag("skip-hooks")) {
    Result<Hook> found = find_hook(*target->repository);
    if (!found) return std::move(found).error();
    hook = std::move(*found);
  }
  for (const auto& [key, value] : installed_keys())
    if (Result<void> done = configure({target->scope, "--replace-all", key, value}); !done)
      return std::move(done).error();
  if (hook) {
    if (Result<void> done = write_hook(*hook); !done) return std::move(done).error();
    tell_of_hook(*hook, arguments.console);
  }
  if (const Result<Answer> found = call({"git-ration", "version"}, kPatience);
      !found || !found->ok())
    arguments.console.note("git-ration is not on PATH: git will not find it");
  arguments.console.note(
      target->scope == "--global"
          ? "git calls git-ration in all repositories of yours; `git ration track` names the files"
          : "git calls git-ration in this repository; `git ration track` names the files");
  return 0;
}

Result<int> run_uninstall(const Arguments& arguments) {
  Result<Target> target = target_of(arguments);
  if (!target) return std::move(target).error();
  for (const auto& [key, value] : installed_keys())
    if (Result<void> done = configure({target->scope, "--unset-all", key}); !done)
      return std::move(done).error();
  if (!target->repository) return 0;
  Result<Hook> hook = find_hook(*target->repository);
  if (!hook) return std::move(hook).error();
  if (Result<void> done = remove_hook(*hook); !done) return std::move(done).error();
  if (hook->state == HookState::chained)
    arguments.console.note(
        fmt::format("{} calls git-ration: take that line out by hand", hook->path.string()));
  return 0;
}

std::vector<cli::Option> scopes() {
  return {
      {.name = "local",
       .help = "For this repository alone: the default, as it changes nothing elsewhere."},
      {.name = "global",
       .help = "For all repositories of yours, so that `git clone` gives checkpoints at once."}};
}

}  // namespace

cli::Command install_command() {
  std::vector<cli::Option> options = scopes();
  options.push_back(
      {.name = "skip-hooks",
       .help = "Do not write the hook pre-push, which sends objects along with a push."});
  return {.name = "install",
          .summary = "Make git call git-ration for the files that are tracked",
          .options = std::move(options),
          .description =
              "Sets filter.ration, diff.ration and merge.ration in git's configuration, and writes "
              "the hook\npre-push. It may be repeated. A hook that is there is left as it is.",
          .execute = run_install};
}

cli::Command uninstall_command() {
  return {.name = "uninstall",
          .summary = "Take back what install did; objects and history stay",
          .options = scopes(),
          .execute = run_uninstall};
}

}  // namespace ration::git
