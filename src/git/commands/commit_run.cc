#include <fmt/format.h>

#include <cstdlib>

#include "base/part_file.h"
#include "git/commands.h"
#include "git/finished_run.h"
#include "git/installation.h"
#include "git/repository.h"

namespace ration::git {
namespace {

using cli::Arguments;

// Seconds: adding a model of any size may take long.
constexpr double kADay = 86400;

Error refused(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Whether a commit of `path` would take anything but the run's weights, or not go through the
// filter.
Result<void> check_target(const Repository& repository, const std::string& path) {
  Result<std::vector<std::string>> filter = repository.attribute("filter", {path});
  if (!filter) return std::move(filter).error();
  if (filter->front() != "ration")
    return refused(fmt::format("{} does not go through git-ration", path),
                   fmt::format("`git ration track '{}'`, and commit .gitattributes", path));
  Result<bool> installed = is_installed(repository);
  if (!installed) return std::move(installed).error();
  if (!*installed) return refused("git does not call git-ration here", "`git ration install`");
  Result<std::string> changes =
      repository.ask({"status", "--porcelain", "-z", "--ignored", "--", ":(literal)" + path});
  if (!changes) return std::move(changes).error();
  if (changes->empty()) return {};
  return refused(fmt::format("{} is there, and not as it was committed", path),
                 "commit it or put it away first, or choose another file with --path");
}

// The copy appears whole.
Result<void> copy(Files& files, const Path& from, const Path& to) {
  if (Result<void> done = files.make_folders(to.parent_path()); !done) return done;
  const Path part = part_beside(files, to);
  std::error_code code;
  std::filesystem::copy_file(from, part, std::filesystem::copy_options::overwrite_existing, code);
  Result<void> done =
      code ? Result<void>(system_error("copy to", part, code.value())) : files.rename(part, to);
  if (done) return done;
  const Result<void> ignored = files.remove_all(part);
  (void)ignored;
  return done;
}

Result<void> must(const Repository& repository,
                  std::vector<std::string> words,
                  std::string_view input = {}) {
  const std::string typed = fmt::format("git {}", fmt::join(words, " "));
  const Result<Answer> answer = repository.git(std::move(words), input, kADay);
  if (!answer) return answer.error();
  if (answer->ok()) return {};
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("`{}` failed: {}", typed, answer->words()),
               .hint = "the weights are in the work tree: commit them by hand, or remove them"};
}

std::string message_of(const FinishedRun& run, const Arguments& arguments) {
  std::string message = arguments.text("message").value_or(
      fmt::format("Add the weights of run {}", run.id.substr(0, 12)));
  message += "\n\n";
  for (const auto& [key, value] : run.trailers) message += fmt::format("{}: {}\n", key, value);
  return message;
}

Result<int> tell(const Repository& repository,
                 const FinishedRun& run,
                 const std::string& path,
                 const cli::Console& console) {
  Result<std::string> commit = repository.ask({"rev-parse", "HEAD"});
  if (!commit) return std::move(commit).error();
  if (console.json)
    console.print_json(Json{{"schema", "ration.git-commit-run/1"},
                            {"run", run.id},
                            {"path", path},
                            {"commit", *commit}});
  else
    console.print(fmt::format("{}  {}\n", *commit, path));
  return 0;
}

Result<int> run_commit_run(const Arguments& arguments) {
  Result<FinishedRun> run =
      find_finished_run(real_files(), *arguments.text("store"), arguments.positional[0]);
  if (!run) return std::move(run).error();
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<Path> top = repository->work_tree();
  if (!top) return std::move(top).error();
  Result<std::string> path = fmt::format("models/{}.safetensors", run->id);
  if (const std::optional<std::string> given = arguments.text("path"))
    path = path_from_top(*repository, *given);
  if (!path) return std::move(path).error();
  if (Result<void> done = check_target(*repository, *path); !done) return std::move(done).error();

  if (Result<void> done = copy(real_files(), run->weights, *top / *path); !done)
    return std::move(done).error();
  const std::string literal = ":(literal)" + *path;
  if (Result<void> done = must(*repository, {"add", "--", literal}); !done)
    return std::move(done).error();
  const Result<Answer> same =
      repository->git({"diff", "--cached", "--quiet", "--no-ext-diff", "--", literal});
  if (same && same->ok()) {
    arguments.console.note(fmt::format("{} is committed with these weights already", *path));
    return tell(*repository, *run, *path, arguments.console);
  }
  const std::string message = message_of(*run, arguments);
  if (Result<void> done =
          must(*repository, {"commit", "--quiet", "--file=-", "--only", "--", literal}, message);
      !done)
    return std::move(done).error();
  return tell(*repository, *run, *path, arguments.console);
}

}  // namespace

cli::Command commit_run_command() {
  const char* store = std::getenv("RATION_STORE");
  return {
      .name = "commit-run",
      .summary = "Commit the weights of a finished run, with its losses in the message",
      .arguments = "RUN",
      .min_arguments = 1,
      .max_arguments = 1,
      .options =
          {{.name = "store",
            .value = "DIR",
            .default_value = store != nullptr && *store != '\0' ? store : "ration-runs",
            .help = "Folder of the runs, for RUN as the beginning of an id; RATION_STORE sets "
                    "another default."},
           {.name = "path",
            .value = "FILE",
            .help = "Where the weights go in the work tree; models/<run-id>.safetensors unless "
                    "given, so that every run has a file of its own. One path for successive runs "
                    "shows their differences."},
           {.name = "message",
            .value = "TEXT",
            .help = "What the commit says above its trailers; the run's id unless given.",
            .letter = 'm'}},
      .description =
          "RUN is a run's folder, or the beginning of its id. The message ends with the trailers "
          "Ration-Run,\nRation-Loss (held out, at the end, nats a token), Ration-Best-Loss, "
          "Ration-Steps and Ration-Tokens:\n\n"
          "  git log --format='%h %(trailers:key=Ration-Loss,valueonly)' -- model.safetensors\n\n"
          "Runs that are not done are refused, and so is a file with changes that were not "
          "committed. Other\nchanges, staged ones too, stay out of the commit.",
      .execute = run_commit_run};
}

}  // namespace ration::git
