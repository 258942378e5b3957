#include "cli/trainer_call.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace ration::cli {

Result<void> call_trainer(const Path& trainer, const std::vector<std::string>& words) {
  std::vector<std::string> all = {trainer.string()};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  if (const int code = posix_spawn(&child, trainer.c_str(), nullptr, nullptr, argv.data(), environ);
      code != 0)
    return system_error("start", trainer, code);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return system_error("wait for", trainer, errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  // Its codes (docs/architecture.md): 2 a run, 3 data, 5 memory.
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return Error{.kind = code == 2 || code == 3 ? ErrorKind::input : ErrorKind::resource,
               .what = fmt::format("{} ended with {}: {}", all[0], code, fmt::join(words, " ")),
               .hint = "it said above what was wrong"};
}

}  // namespace ration::cli
