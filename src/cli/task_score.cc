#include "cli/task_score.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <numeric>

#include "base/hash.h"
#include "cli/eval_ask.h"
#include "data/manifest.h"
#include "data/stats.h"
#include "eval/pairs/summary.h"
#include "run/folder.h"
#include "scheduler/local_executor.h"
#include "study/output.h"

namespace ration::cli {
namespace {

constexpr std::string_view kSchema = "ration.task_scores/1";

class TaskScorer {
 public:
  TaskScorer(const scheduler::SweepOptions& options,
             scheduler::Outside outside,
             const std::string& study)
      : trainer_(options.trainer),
        kept_(study::study_folder(options.store, study) / "task-scores.json"),
        outside_(outside) {
    read_kept();
  }

  Result<double> score(const Path& path, const Path& weights, const Path& like) {
    if (Result<void> read = read_task(path); !read) return std::move(read).error();
    Result<std::string> bytes = outside_.files.read(weights);
    if (!bytes) return std::move(bytes).error();
    const std::string key = fmt::format("{} {}", task_->digest(), sha256_hex(*bytes));
    if (const auto known = scores_.find(key); known != scores_.end()) return known->second;
    Result<const eval::Request*> request = request_of(like);
    if (!request) return std::move(request).error();
    Result<Path> trainer = scheduler::find_trainer(trainer_);
    if (!trainer) return std::move(trainer).error();
    Result<eval::PairScores> answers =
        ask_choices(*trainer, {.weights = weights, .like = like}, **request);
    if (!answers) return std::move(answers).error();
    Result<eval::ItemSums> sums = eval::item_sums(*task_, **request, *answers);
    if (!sums) return std::move(sums).error();
    double right = 0;
    for (std::size_t i = 0; i < task_->items.size(); ++i) {
      const auto& [first, second] = sums->at(i).front();
      right += eval::credit(eval::score_of(first, eval::Score::avg_pmi, false),
                            eval::score_of(second, eval::Score::avg_pmi, false),
                            task_->items[i].label);
    }
    const double share = right / static_cast<double>(task_->items.size());
    scores_[key] = share;
    if (Result<void> kept = keep(); !kept) return std::move(kept).error();
    return share;
  }

 private:
  Result<void> read_task(const Path& path) {
    if (task_) return {};
    Result<eval::PairTask> task = eval::read_task(outside_.files, path, {});
    if (!task) return std::move(task).error();
    task_ = std::move(*task);
    return {};
  }

  // One for each tokenizer and context: runs of other sizes share it.
  Result<const eval::Request*> request_of(const Path& like) {
    Result<run::RunFile> run = run::RunFolder(outside_.files, like).read_spec();
    if (!run) return std::move(run).error();
    const Path data = run->execution.data;
    Result<data::Manifest> manifest = data::read_manifest(outside_.files, data);
    if (!manifest) return std::move(manifest).error();
    const std::string key =
        fmt::format("{} {} {}", manifest->tokenizer_sha256, manifest->vocab, run->spec.context);
    if (const auto known = requests_.find(key); known != requests_.end()) return &known->second;
    Result<std::unique_ptr<data::Tokenizer>> words =
        data::tokenizer_of(outside_.files, data, *manifest);
    if (!words) return std::move(words).error();
    const eval::Codec codec{.encode = [&](std::string_view text) { return (*words)->encode(text); },
                            .end_token = (*words)->end_token(),
                            .vocab = manifest->vocab};
    Result<eval::Request> request =
        eval::make_request(*task_, codec, {.prompts = {0}, .context = run->spec.context});
    if (!request) return std::move(request).error();
    return &requests_.emplace(key, std::move(*request)).first->second;
  }

  // What cannot be read is measured again.
  void read_kept() {
    if (!outside_.files.exists(kept_)) return;
    const Result<std::string> text = outside_.files.read(kept_);
    if (!text) return;
    const Result<Json> json = parse_json(*text, kept_.string());
    if (!json || !json->is_object() || json->value("schema", Json()) != kSchema) return;
    const Json scores = json->value("scores", Json::object());
    for (const auto& [key, value] : scores.items())
      if (value.is_number()) scores_[key] = value.get<double>();
  }

  Result<void> keep() {
    if (Result<void> made = outside_.files.make_folders(kept_.parent_path()); !made) return made;
    return outside_.files.write_whole(
        kept_, Json{{"schema", kSchema}, {"scores", scores_}}.dump(1) + "\n");
  }

  std::string trainer_;
  Path kept_;
  scheduler::Outside outside_;
  std::optional<eval::PairTask> task_;
  std::map<std::string, eval::Request> requests_;
  std::map<std::string, double> scores_;
};

}  // namespace

study::ScoreTask task_scorer(const scheduler::SweepOptions& options,
                             scheduler::Outside outside,
                             const std::string& study) {
  // Shared, because std::function copies what it holds.
  auto scorer = std::make_shared<TaskScorer>(options, outside, study);
  return [scorer](const Path& task, const Path& weights, const Path& like) {
    return scorer->score(task, weights, like);
  };
}

}  // namespace ration::cli
