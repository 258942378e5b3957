#include "study/merge/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "checkpoint/checkpoint.h"
#include "run/folder.h"
#include "store/store.h"
#include "study/merge/weights.h"

namespace ration::study {
namespace {

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Folders of auxiliary data, which `aux_data` joins by ':'.
std::vector<Path> folders_of(const std::string& joined) {
  std::vector<Path> folders;
  for (std::size_t begin = 0; begin < joined.size();) {
    const std::size_t end = std::min(joined.find(':', begin), joined.size());
    folders.push_back(Path(joined.substr(begin, end - begin)).lexically_normal());
    begin = end + 1;
  }
  return folders;
}

// The runs of a sweep's blocks, brought into the order of corpora and replicas.
class BlockModels {
 public:
  BlockModels(const MergeTable& table, const std::vector<Model>& all, const std::string& file)
      : table_(table), all_(all), file_(file) {}

  Result<MergeModels> arrange() {
    const std::vector<const Model*> base = of_blocks({table_.base}, "base");
    const std::vector<const Model*> tuned = of_blocks(table_.models, "models");
    const std::vector<const Model*> joint = of_blocks(table_.multitask, "multitask");
    if (problems_.empty()) {
      name_corpora(tuned);
      name_replicas(tuned);
      place_bases(base);
      place_tuned(tuned);
      place_multitask(joint);
    }
    if (problems_.empty() && models_.corpora.size() < 2)
      refuse("[merge] models were all trained on one corpus", "a merge needs two at least");
    if (!problems_.empty())
      return combine(std::move(problems_), fmt::format("{}: [merge] does not fit its runs", file_));
    models_.shape = tuned.front()->spec;
    models_.execution = tuned.front()->execution;
    return std::move(models_);
  }

  const std::vector<Path>& data() const { return data_; }  // of each corpus

 private:
  void refuse(std::string what, std::string hint) {
    problems_.push_back(usage(std::move(what), std::move(hint)));
  }

  std::vector<const Model*> of_blocks(const std::vector<std::string>& blocks, const char* key) {
    std::vector<const Model*> found;
    for (const std::string& block : blocks) {
      const std::size_t before = found.size();
      for (const Model& model : all_)
        if (model.block == block) found.push_back(&model);
      if (found.size() == before)
        refuse(fmt::format("[merge] {}: no run is of a block \"{}\"", key, block),
               "give the [[block]] that `name`");
    }
    return found;
  }

  void name_corpora(const std::vector<const Model*>& tuned) {
    for (const Model* model : tuned) {
      const Path data = model->data.lexically_normal();
      if (std::find(data_.begin(), data_.end(), data) != data_.end()) continue;
      if (std::find(models_.corpora.begin(), models_.corpora.end(), model->corpus) !=
          models_.corpora.end())
        refuse(fmt::format("[merge] two corpora are called \"{}\"", model->corpus),
               "the last part of the path of `data` is the name; rename a folder");
      data_.push_back(data);
      models_.corpora.push_back(model->corpus);
    }
  }

  void name_replicas(const std::vector<const Model*>& tuned) {
    std::set<std::int64_t> numbers;
    for (const Model* model : tuned) numbers.insert(model->replica);
    models_.replicas.assign(numbers.begin(), numbers.end());
  }

  std::size_t replica_of(std::int64_t number) const {
    const auto found = std::find(models_.replicas.begin(), models_.replicas.end(), number);
    return static_cast<std::size_t>(found - models_.replicas.begin());
  }

  std::size_t corpus_of(const Path& data) const {
    const auto found = std::find(data_.begin(), data_.end(), data.lexically_normal());
    return static_cast<std::size_t>(found - data_.begin());
  }

  std::string add(const Model& model, const std::string& name) {
    models_.weights[name] = run::Weights{.run = model.run, .step = 0, .sha256 = {}};
    return name;
  }

  // One base for all, or one of each replica.
  void place_bases(const std::vector<const Model*>& bases) {
    for (const std::int64_t replica : models_.replicas) {
      const Model* found = bases.size() == 1 ? bases.front() : nullptr;
      std::size_t count = bases.size() == 1 ? 1 : 0;
      if (bases.size() > 1)
        for (const Model* base : bases)
          if (base->replica == replica) found = base, ++count;
      if (count != 1) {
        refuse(fmt::format(
                   "[merge] base \"{}\" has {} runs of replica {}", table_.base, count, replica),
               "it must have one run, or one of each replica of the models");
        return;
      }
      models_.base.push_back(
          add(*found, bases.size() == 1 ? "base" : fmt::format("base/{}", replica)));
    }
  }

  void place_tuned(const std::vector<const Model*>& tuned) {
    if (!problems_.empty()) return;
    models_.own.assign(models_.corpora.size(), std::vector<std::string>(models_.replicas.size()));
    for (const Model* model : tuned) {
      const std::size_t corpus = corpus_of(model->data), replica = replica_of(model->replica);
      std::string& name = models_.own[corpus][replica];
      if (!name.empty()) {
        refuse(fmt::format(
                   "[merge] models: several runs of {}, replica {}", model->corpus, model->replica),
               "a study takes one of each; leave out the axis that they differ in");
        return;
      }
      name = add(*model, fmt::format("{}/{}", model->corpus, model->replica));
      const std::string& base = models_.weights.at(models_.base[replica]).run;
      if (!model->start || model->start->run != base)
        refuse(fmt::format("[merge] models: {} of replica {} does not begin with the base",
                           model->corpus,
                           model->replica),
               fmt::format("set init = \"block:{}\" for it", table_.base));
    }
    for (std::size_t corpus = 0; corpus < models_.own.size(); ++corpus)
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica)
        if (models_.own[corpus][replica].empty())
          refuse(fmt::format("[merge] models: {} has no replica {}",
                             models_.corpora[corpus],
                             models_.replicas[replica]),
                 "give all corpora the same `seeds`");
  }

  void place_multitask(const std::vector<const Model*>& joint) {
    for (const Model* model : joint) {
      std::set<std::size_t> corpora = {corpus_of(model->data)};
      for (const Path& folder : folders_of(model->execution.aux_data))
        corpora.insert(corpus_of(folder));
      const std::size_t replica = replica_of(model->replica);
      if (corpora.contains(data_.size()) || replica == models_.replicas.size()) {
        refuse(fmt::format("[merge] multitask: run {} is of a corpus or replica that no model has",
                           model->run.substr(0, 12)),
               "its data and sources must be corpora of the models");
        return;
      }
      place_joint(*model, {corpora.begin(), corpora.end()}, replica);
    }
    for (const MergeModels::Multitask& each : models_.multitask)
      if (std::find(each.models.begin(), each.models.end(), "") != each.models.end())
        refuse("[merge] multitask: not every replica was trained", "give it the models' `seeds`");
  }

  void place_joint(const Model& model, std::vector<std::size_t> corpora, std::size_t replica) {
    auto found = std::find_if(models_.multitask.begin(), models_.multitask.end(), [&](auto& each) {
      return each.corpora == corpora;
    });
    if (found == models_.multitask.end()) {
      models_.multitask.push_back({.corpora = std::move(corpora), .models = {}});
      found = std::prev(models_.multitask.end());
      found->models.resize(models_.replicas.size());
    }
    if (!found->models[replica].empty())
      refuse(fmt::format("[merge] multitask: several runs of the same corpora, replica {}",
                         model.replica),
             "a study takes one of each");
    found->models[replica] = add(
        model, fmt::format("multitask-{}/{}", found - models_.multitask.begin(), model.replica));
  }

  const MergeTable& table_;
  const std::vector<Model>& all_;
  const std::string& file_;
  std::vector<Error> problems_;
  std::vector<Path> data_;
  MergeModels models_;
};

// Hyper-parameters are chosen on one half of each corpus's held-out windows, reported on the other.
Result<void> read_windows(const MergeTable& table,
                          Files& files,
                          const std::vector<Path>& data,
                          MergeModels& models) {
  std::vector<Error> problems;
  for (std::size_t corpus = 0; corpus < data.size(); ++corpus) {
    Result<HeldOut> found =
        held_out(files, data[corpus], models.corpora[corpus], models.shape.context, table.windows);
    if (found)
      models.windows.push_back(*std::move(found));
    else
      problems.push_back(std::move(found).error());
  }
  if (!problems.empty()) return combine(std::move(problems), "corpora cannot be evaluated on");
  return {};
}

// The newest attempt's checkpoint of a step.
Result<Path> checkpoint_of_step(const run::RunFolder& folder, Files& files, std::int64_t step) {
  Result<std::vector<int>> attempts = folder.attempts();
  if (!attempts) return std::move(attempts).error();
  for (auto number = attempts->rbegin(); number != attempts->rend(); ++number)
    if (const Path path = folder.attempt_path(*number) / fmt::format("checkpoint-{}", step);
        files.exists(path))
      return path;
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} has no checkpoint of step {}", folder.path().string(), step),
               .hint = "name the run without a step, or train it again to keep that one"};
}

std::string shape_text(const checkpoint::TensorInfo& tensor) {
  return fmt::format("{} [{}]", checkpoint::name(tensor.dtype), fmt::join(tensor.shape, ", "));
}

// Weights that no run of the store made have the tensors of the first of them: the worker would
// find others when everything is under way.
Result<void> check_files_alike(const MergeModels& models, Files& files) {
  std::optional<checkpoint::Checkpoint> first;
  for (const auto& [name, file] : models.files) {
    Result<checkpoint::Checkpoint> opened = checkpoint::Checkpoint::open(files, file);
    if (!opened) return std::move(opened).error();
    if (!first) {
      first = std::move(*opened);
      continue;
    }
    std::vector<std::string> differences;
    for (const checkpoint::TensorInfo& tensor : first->tensors())
      if (const checkpoint::TensorInfo* own = opened->find(tensor.name); own == nullptr)
        differences.push_back(fmt::format("\"{}\" is missing", tensor.name));
      else if (own->shape != tensor.shape || own->dtype != tensor.dtype)
        differences.push_back(
            fmt::format("\"{}\" is {}, not {}", tensor.name, shape_text(*own), shape_text(tensor)));
    for (const checkpoint::TensorInfo& tensor : opened->tensors())
      if (first->find(tensor.name) == nullptr)
        differences.push_back(fmt::format("\"{}\" is too many", tensor.name));
    if (!differences.empty())
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{} has other tensors than {}: {}",
                                       file,
                                       first->path().string(),
                                       fmt::join(differences, "; ")),
                   .hint = "merge models of one architecture"};
  }
  return {};
}

}  // namespace

Result<MergeModels> merge_models(const MergeTable& table,
                                 const scheduler::Sweep& sweep,
                                 Files& files,
                                 const Path& store,
                                 const scheduler::ExpandOptions& options) {
  if (table.of_weights()) {
    Result<WeightModels> found = models_of_weights(table, sweep.file, files, store);
    if (!found) return std::move(found).error();
    if (Result<void> alike = check_files_alike(found->models, files); !alike)
      return std::move(alike).error();
    if (Result<void> read = read_windows(table, files, found->data, found->models); !read)
      return std::move(read).error();
    return std::move(found->models);
  }
  if (!sweep.has_runs)
    return usage(fmt::format("{}: [merge] names blocks, but the file has no runs", sweep.file),
                 "name weights that exist: \"run:ID\" or \"file:PATH\", with `corpora`");
  Result<std::vector<Model>> all = models_of(sweep, files, options);
  if (!all) return std::move(all).error();
  BlockModels blocks(table, *all, sweep.file);
  Result<MergeModels> models = blocks.arrange();
  if (!models) return models;
  if (Result<void> read = read_windows(table, files, blocks.data(), *models); !read)
    return std::move(read).error();
  return models;
}

Result<Path> checkpoint_path(Files& files,
                             const Path& store,
                             const MergeModels& models,
                             const std::string& name) {
  const run::Weights& weights = models.weights.at(name);
  if (weights.run.empty()) return Path(models.files.at(name));
  const run::RunFolder folder(files, store::Layout{.folder = store}.run(weights.run));
  if (weights.step > 0) return checkpoint_of_step(folder, files, weights.step);
  Result<std::optional<std::string>> last = folder.result_checkpoint();
  if (!last) return std::move(last).error();
  if (*last && !(*last)->empty()) return folder.path() / **last;
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} has no checkpoint in its result", folder.path().string()),
               .hint = "carry the run out, then repeat the command"};
}

}  // namespace ration::study
