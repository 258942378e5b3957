#include "cli/merge_soup.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <charconv>
#include <cstdio>
#include <memory>

namespace ration::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string with_path(std::string command, const Path& model) {
  const std::string path = quoted(model.string());
  const std::size_t place = command.find("{}");
  if (place == std::string::npos) return command + " " + path;
  return command.replace(place, 2, path);
}

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
  Path candidate = output;
  candidate += ".candidate.safetensors";
  Result<merge::Soup> soup =
      merge::greedy_soup(inputs.models.size(),
                         higher_is_better,
                         [&](std::span<const std::size_t> members) -> Result<double> {
                           merge::Recipe recipe;
                           merge::Inputs pool{.base = inputs.base, .models = {}};
                           for (const std::size_t member : members) {
                             pool.models.push_back(inputs.models[member]);
                             recipe.models.push_back(inputs.models[member].name);
                           }
                           merge::Options quick = options;
                           quick.input_digests = false;
                           Result<merge::Summary> done =
                               merge::merge_to_file(real_files(), recipe, pool, candidate, quick);
                           if (!done) return std::move(done).error();
                           return score_by_command(command, candidate);
                         });
  const Result<void> removed = real_files().remove_all(candidate);
  if (soup && !removed) return removed.error();
  return soup;
}

}  // namespace ration::cli
