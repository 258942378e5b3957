#include "cli/eval_ask.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/trainer_call.h"
#include "scheduler/stop_signals.h"

namespace ration::cli {
namespace {

// A new folder that goes with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "ration-eval-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace

Result<eval::PairScores> ask_choices(const Path& trainer,
                                     const Asked& asked,
                                     const eval::Request& request) {
  scheduler::StopSignals signals;  // a stop lets the folder go first
  const Scratch scratch;
  if (scratch.path().empty())
    return system_error("create a folder in", std::filesystem::temp_directory_path(), errno);
  const Path list = scratch.path() / "pairs.jsonl", out = scratch.path() / "scores.jsonl";
  if (Result<void> done = real_files().write_whole(list, request.text); !done)
    return std::move(done).error();
  std::vector<std::string> words = {
      "--pairs", list.string(), asked.weights.string(), "-o", out.string()};
  if (!asked.like.empty()) words.insert(words.end(), {"--like", asked.like.string()});
  if (asked.batch_tokens > 0) words.push_back(fmt::format("batch_tokens={}", asked.batch_tokens));
  if (asked.threads > 0) words.push_back(fmt::format("threads={}", asked.threads));
  // Its last line names a file of that folder.
  const auto hear = [&](std::string_view line) {
    if (asked.console != nullptr && !line.starts_with("wrote ")) asked.console->note(line);
  };
  if (Result<void> done = call_trainer(trainer, words, hear); !done) return std::move(done).error();
  if (signals.take() > 0) return trainer_interrupted();
  Result<std::string> text = real_files().read(out);
  if (!text) return std::move(text).error();
  return eval::parse_scores(*text, out.string(), request);
}

}  // namespace ration::cli
