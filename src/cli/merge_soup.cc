#include "cli/merge_soup.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/part_file.h"
#include "checkpoint/output_file.h"

namespace ration::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string with_path(std::string command, const Path& model) {
  const std::string path = quoted(model.string());
  std::size_t place = command.find("{}");
  if (place == std::string::npos) return command + " " + path;
  for (; place != std::string::npos; place = command.find("{}", place + path.size()))
    command.replace(place, 2, path);
  return command;
}

// A file beside the output that no one else has, from its making to its removal.
class Candidate {
 public:
  static Result<Candidate> make(Files& files, const Path& output) {
    const Path name = part_beside(files, Path(output) += ".candidate");
    for (int number = 1;; ++number) {
      const Path path = Path(name) += fmt::format(".{}.safetensors", number);
      const Result<bool> made = files.write_exclusively(path, "");
      if (!made) return made.error();
      if (*made) return Candidate(files, path);
    }
  }
  Candidate(Candidate&& other) noexcept
      : files_(other.files_), path_(std::exchange(other.path_, {})) {}
  Candidate& operator=(Candidate&&) = delete;
  ~Candidate() {
    if (path_.empty()) return;
    const Result<void> ignored = files_->remove_all(path_);
    (void)ignored;
  }

  const Path& path() const { return path_; }

 private:
  Candidate(Files& files, Path path) : files_(&files), path_(std::move(path)) {}

  Files* files_;
  Path path_;  // empty = moved away
};

}  // namespace

Result<double> score_by_command(const std::string& command, const Path& model) {
  const std::string line = with_path(command, model);
  const auto failed = [&](std::string why) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("--eval-cmd {}: `{}`", why, line),
                 .hint = "it must exit with 0 and print a score as its last word"};
  };
  std::FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return failed("could not be started");
  std::string text;
  char block[4096];
  while (const std::size_t got = std::fread(block, 1, sizeof block, pipe)) text.append(block, got);
  const int status = pclose(pipe);
  if (status != 0)
    return failed(
        fmt::format("ended with status {}", WIFEXITED(status) ? WEXITSTATUS(status) : -1));
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t last = text.find_last_not_of(kBlank);
  if (last == std::string::npos) return failed("printed nothing");
  const std::size_t before = text.find_last_of(kBlank, last);
  const std::size_t first = before == std::string::npos ? 0 : before + 1;
  double score = 0;
  const auto [end, code] = std::from_chars(text.data() + first, text.data() + last + 1, score);
  if (code != std::errc() || end != text.data() + last + 1) return failed("printed no number");
  return score;
}

Result<merge::Soup> soup_by_command(const std::string& command,
                                    bool higher_is_better,
                                    const merge::Inputs& inputs,
                                    const Path& output,
                                    const merge::Options& options) {
  const Result<Path> file = checkpoint::output_file(output);
  if (!file) return file.error();
  const Result<Candidate> candidate = Candidate::make(real_files(), *file);
  if (!candidate) return candidate.error();
  const auto evaluate = [&](std::span<const std::size_t> members) -> Result<double> {
    merge::Recipe recipe;
    merge::Inputs pool{.base = inputs.base, .models = {}};
    for (const std::size_t member : members) {
      pool.models.push_back(inputs.models[member]);
      recipe.models.push_back(inputs.models[member].name);
    }
    merge::Options quick = options;
    quick.input_digests = false;
    Result<merge::Summary> done =
        merge::merge_to_file(real_files(), recipe, pool, candidate->path(), quick);
    if (!done) return std::move(done).error();
    return score_by_command(command, candidate->path());
  };
  return merge::greedy_soup(inputs.models.size(), higher_is_better, evaluate);
}

Json provenance_of(const merge::Soup& soup,
                   const std::string& command,
                   bool higher_is_better,
                   const merge::Inputs& inputs,
                   const merge::Options& options) {
  std::vector<std::string> names;
  std::vector<const checkpoint::Checkpoint*> checkpoints;
  for (const merge::Named& model : inputs.models) {
    names.push_back(model.name);
    checkpoints.push_back(model.checkpoint);
  }
  if (options.input_digests) {
    names = checkpoint::Checkpoint::sha256_of(checkpoints, options.threads);
    for (std::string& name : names) name = "sha256:" + name;
  }
  Json trials = Json::array();
  for (const merge::Trial& trial : soup.trials)
    trials.push_back({{"models", trial.members}, {"score", trial.score}, {"kept", trial.kept}});
  return {{"command", command},
          {"higher_is_better", higher_is_better},
          {"models", std::move(names)},
          {"trials", std::move(trials)}};
}

}  // namespace ration::cli
