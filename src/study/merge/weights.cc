#include "study/merge/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/manifest.h"
#include "run/folder.h"
#include "scheduler/weights_catalog.h"
#include "store/store.h"

namespace ration::study {
namespace {

class WeightReader {
 public:
  WeightReader(const MergeTable& table,
               const std::string& sweep_file,
               Files& files,
               const Path& store)
      : table_(table),
        folder_(std::filesystem::absolute(sweep_file).parent_path()),
        files_(files),
        store_(store),
        catalog_(files, folder_) {}

  Result<WeightModels> read() {
    add("base", table_.base);
    for (std::size_t i = 0; i < table_.models.size(); ++i) place(i);
    check_replicas();
    if (problems_.empty()) read_shape();
    if (!problems_.empty())
      return combine(std::move(problems_), "[merge] names what cannot be merged");
    return std::move(found_);
  }

 private:
  void refuse(ErrorKind kind, std::string what, std::string hint) {
    problems_.push_back({.kind = kind, .what = std::move(what), .hint = std::move(hint)});
  }

  void add(const std::string& name, const std::string& text) {
    MergeModels& models = found_.models;
    if (text.starts_with("file:")) {
      const Result<scheduler::WeightsCatalog::Entry>& entry = catalog_.weights(text.substr(5));
      if (!entry) return problems_.push_back(entry.error());
      models.files[name] = entry->file;
      models.weights[name] = run::parse_weights(entry->setting).value();
      return;
    }
    Result<run::Weights> weights = run::parse_weights(text);
    if (!weights) return problems_.push_back(std::move(weights).error());
    models.weights[name] = *weights;
    if (weights->run.empty())
      return refuse(ErrorKind::usage,
                    fmt::format("[merge] {} does not say where it lies", text),
                    "write \"file:PATH\"");
    const run::RunFolder folder(files_, store::Layout{.folder = store_}.run(weights->run));
    if (!files_.exists(folder.spec_path()))
      refuse(ErrorKind::input,
             fmt::format("run {} is not in the store {}", weights->run, store_.string()),
             "name its store with --store, or its weights as file:PATH");
  }

  // A model goes to its corpus, behind those that are there.
  void place(std::size_t i) {
    MergeModels& models = found_.models;
    const Path data = (folder_ / table_.corpora[i]).lexically_normal();
    const std::string name = (data.has_filename() ? data : data.parent_path()).filename().string();
    auto at = std::find(found_.data.begin(), found_.data.end(), data);
    if (at == found_.data.end()) {
      if (std::find(models.corpora.begin(), models.corpora.end(), name) != models.corpora.end())
        refuse(ErrorKind::usage,
               fmt::format("[merge] two corpora are called \"{}\"", name),
               "the last part of the path is the name; rename a folder");
      found_.data.push_back(data);
      models.corpora.push_back(name);
      models.own.emplace_back();
      at = std::prev(found_.data.end());
    }
    std::vector<std::string>& own = models.own[static_cast<std::size_t>(at - found_.data.begin())];
    own.push_back(fmt::format("{}/{}", name, own.size()));
    add(own.back(), table_.models[i]);
  }

  void check_replicas() {
    MergeModels& models = found_.models;
    if (models.corpora.size() < 2)
      refuse(ErrorKind::usage, "[merge] names one corpus", "a merge needs two at least");
    for (std::size_t corpus = 1; corpus < models.own.size(); ++corpus)
      if (models.own[corpus].size() != models.own[0].size())
        refuse(ErrorKind::usage,
               fmt::format("[merge] names {} models of {} and {} of {}",
                           models.own[0].size(),
                           models.corpora[0],
                           models.own[corpus].size(),
                           models.corpora[corpus]),
               "name as many of each corpus");
    for (std::size_t replica = 0; replica < models.own[0].size(); ++replica) {
      models.replicas.push_back(static_cast<std::int64_t>(replica));
      models.base.push_back("base");
    }
  }

  void read_shape() {
    MergeModels& models = found_.models;
    models.execution.data = found_.data.front().string();
    for (const auto& [name, weights] : models.weights) {
      if (weights.run.empty()) continue;
      const run::RunFolder folder(files_, store::Layout{.folder = store_}.run(weights.run));
      Result<run::RunFile> file = folder.read_spec();
      if (!file) return problems_.push_back(std::move(file).error());
      models.shape = file->spec;
      return;
    }
    read_settings();
  }

  // All weights are files, which do not say what they are weights of.
  void read_settings() {
    run::RunSpec& shape = found_.models.shape;
    if (table_.settings.empty())
      return refuse(ErrorKind::usage,
                    "[merge] names files alone, which do not tell their model",
                    "add [merge.settings] with family, layers, width, heads, context, …");
    for (const auto& [key, value] : table_.settings.items()) {
      Result<void> set = Error{.kind = ErrorKind::usage,
                               .what = fmt::format("[merge.settings] {} has no such value", key)};
      if (value.is_boolean()) set = run::set(shape, key, value.get<bool>());
      if (value.is_number_integer()) set = run::set(shape, key, value.get<std::int64_t>());
      if (value.is_number_float()) set = run::set(shape, key, value.get<double>());
      if (value.is_string()) set = run::set(shape, key, value.get<std::string>());
      if (!set) problems_.push_back(std::move(set).error());
    }
    Result<data::Manifest> manifest = data::read_manifest(files_, found_.data.front());
    if (!manifest) return problems_.push_back(std::move(manifest).error());
    shape.vocab = manifest->vocab;
    shape = run::resolve(shape);
  }

  const MergeTable& table_;
  Path folder_;
  Files& files_;
  const Path& store_;
  scheduler::WeightsCatalog catalog_;
  std::vector<Error> problems_;
  WeightModels found_;
};

}  // namespace

Result<WeightModels> models_of_weights(const MergeTable& table,
                                       const std::string& sweep_file,
                                       Files& files,
                                       const Path& store) {
  return WeightReader(table, sweep_file, files, store).read();
}

}  // namespace ration::study
