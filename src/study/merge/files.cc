#include "study/merge/files.h"

#include <fmt/format.h>

#include <deque>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "merge/merge.h"

namespace ration::study {
namespace {

constexpr std::size_t kDigits = 16;  // of a digest in a file's name

class FisherMerges {
 public:
  FisherMerges(const MergeModels& models,
               Files& files,
               const Path& store,
               const Path& folder,
               MeasureFisher measure)
      : models_(models),
        files_(files),
        store_(store),
        folder_(folder),
        measure_(std::move(measure)) {}

  Result<MergedFile> merge(const Json& recipe) const {
    if (Result<void> made = files_.make_folders(folder_); !made) return std::move(made).error();
    std::string content = canonical_json(recipe).value();  // members were checked: no NaN
    MergedFile merged{.name = "file of " + content, .sha256 = {}, .path = {}};
    for (const std::string& model : recipe.at("models").get<std::vector<std::string>>())
      content += run::text(models_.weights.at(model));
    merged.path =
        folder_ / fmt::format("fisher-{}.safetensors", sha256_hex(content).substr(0, kDigits));
    if (!files_.exists(merged.path))
      if (Result<void> done = write(recipe, merged.path); !done) return std::move(done).error();
    Result<std::string> bytes = files_.read(merged.path);
    if (!bytes) return std::move(bytes).error();
    merged.sha256 = sha256_hex(*bytes);
    return merged;
  }

 private:
  Result<void> write(const Json& json, const Path& file) const {
    Result<merge::Recipe> recipe = merge::parse_recipe(json, "[[merge.method]] fisher");
    if (!recipe) return std::move(recipe).error();
    std::deque<checkpoint::Checkpoint> opened;
    const auto open = [&](const Path& path) -> Result<const checkpoint::Checkpoint*> {
      Result<checkpoint::Checkpoint> found = checkpoint::Checkpoint::open(files_, path);
      if (!found) return std::move(found).error();
      opened.push_back(std::move(*found));
      return &opened.back();
    };
    merge::Inputs inputs;
    for (const std::string& name : recipe->models) {
      Result<Path> weights = checkpoint_path(files_, store_, models_, name);
      if (!weights) return std::move(weights).error();
      Result<Path> fisher = statistics_of(name, *weights);
      if (!fisher) return std::move(fisher).error();
      Result<const checkpoint::Checkpoint*> model = open(*weights);
      if (!model) return std::move(model).error();
      Result<const checkpoint::Checkpoint*> statistics = open(*fisher);
      if (!statistics) return std::move(statistics).error();
      inputs.models.push_back({.name = name, .checkpoint = *model, .statistics = *statistics});
    }
    merge::Options options;
    options.version = "study";
    Result<merge::Summary> done = merge::merge_to_file(files_, *recipe, inputs, file, options);
    if (!done) return std::move(done).error();
    return {};
  }

  Result<Path> statistics_of(const std::string& name, const Path& weights) const {
    std::size_t corpus = 0;
    for (std::size_t i = 0; i < models_.own.size(); ++i)
      for (const std::string& own : models_.own[i])
        if (own == name) corpus = i;
    const std::string digest = sha256_hex(run::text(models_.weights.at(name)));
    Path file = folder_ / fmt::format("information-{}.safetensors", digest.substr(0, kDigits));
    if (files_.exists(file)) return file;
    Result<void> measured = measure_(weights, models_.windows[corpus].all.data, file);
    if (!measured) return std::move(measured).error();
    return file;
  }

  const MergeModels& models_;
  Files& files_;
  const Path& store_;
  const Path& folder_;
  MeasureFisher measure_;
};

}  // namespace

MergeToFile merge_by_fisher(const MergeModels& models,
                            Files& files,
                            const Path& store,
                            const Path& folder,
                            MeasureFisher measure) {
  return [merges = FisherMerges(models, files, store, folder, std::move(measure))](
             const Json& recipe) { return merges.merge(recipe); };
}

}  // namespace ration::study
