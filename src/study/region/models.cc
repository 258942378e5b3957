#include "study/region/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "eval/points.h"

namespace ration::study {
namespace {

class Sorter {
 public:
  Sorter(const RegionTable& table, const std::vector<Model>& models, std::string file)
      : table_(table), models_(models), file_(std::move(file)) {}

  Result<RegionModels> sorted() {
    if (const Model* base = only_run("base", table_.base)) sorted_.base = *base;
    if (!table_.second_start.empty())
      if (const Model* second = only_run("second_start", table_.second_start))
        sorted_.second = *second;
    if (table_.centroid)
      for (const auto& [corpus, block] : table_.centroid->control)
        if (const Model* start = only_run("centroid.control", block))
          sorted_.controls.emplace(corpus, *start);
    for (const std::string& block : table_.amounts) runs_of("amounts", block);
    if (!problems_.empty()) return refusal();
    for (const Model& model : models_) place(model);
    check_corpora();
    check_families();
    check_shapes();
    if (!problems_.empty()) return refusal();
    return std::move(sorted_);
  }

 private:
  void refuse(std::string what, std::string hint) {
    problems_.push_back({.kind = ErrorKind::usage,
                         .what = fmt::format("{}: {}", file_, what),
                         .hint = std::move(hint)});
  }
  Error refusal() {
    return combine(std::move(problems_), fmt::format("{}: [region] does not fit its runs", file_));
  }

  std::vector<const Model*> runs_of(std::string_view key, const std::string& block) {
    std::vector<const Model*> found;
    std::vector<std::string> known;
    for (const Model& model : models_) {
      if (model.block == block) found.push_back(&model);
      if (!model.block.empty()) known.push_back(model.block);
    }
    if (found.empty())
      refuse(fmt::format("[region] {}: no block is called \"{}\"", key, block),
             nearest(block, known) ? did_you_mean(block, known)
                                   : "a line `name = \"…\"` below [[block]] names a block");
    return found;
  }
  const Model* only_run(std::string_view key, const std::string& block) {
    const std::vector<const Model*> found = runs_of(key, block);
    if (found.size() > 1)
      refuse(fmt::format("[region] {}: block \"{}\" has {} runs", key, block, found.size()),
             "it must have one");
    return found.size() == 1 ? found.front() : nullptr;
  }

  bool is_start(const Model& model) const {
    return model.run == sorted_.base.run || (sorted_.second && model.run == sorted_.second->run) ||
           std::any_of(sorted_.controls.begin(), sorted_.controls.end(), [&](const auto& each) {
             return each.second.run == model.run;
           });
  }
  void place(const Model& model) {
    if (is_start(model) || !model.start) return;
    const bool amount = std::find(table_.amounts.begin(), table_.amounts.end(), model.block) !=
                        table_.amounts.end();
    if (model.start->run == sorted_.base.run)
      (amount ? sorted_.amounts : sorted_.models).push_back(model);
    else if (sorted_.second && model.start->run == sorted_.second->run)
      sorted_.second_models.push_back(model);
  }

  void check_corpora() {
    std::map<std::string, std::size_t> count;
    for (const Model& model : sorted_.models)
      if (++count[model.corpus] == 1) sorted_.corpora.push_back(model.corpus);
    if (sorted_.corpora.size() < 2)
      refuse(fmt::format("{} corpora have runs that begin with block \"{}\"",
                         sorted_.corpora.size(),
                         table_.base),
             "a study of regions needs two or more: init = \"block:NAME\" in blocks with a `data` "
             "of their own");
    for (const auto& [corpus, models] : count)
      if (models < 2)
        refuse(fmt::format("corpus {} has one model", corpus),
               "give its block `seeds = 3` or more: a region needs members");
  }
  void check_families() {
    for (const std::string& corpus : sorted_.corpora) {
      const auto found = table_.family.find(corpus);
      sorted_.family[corpus] = found == table_.family.end() ? corpus : found->second;
      if (!table_.family.empty() && found == table_.family.end())
        refuse(fmt::format("[region] family does not name {}", corpus),
               "every corpus needs a family, or leave `family` out");
    }
    const auto check = [&](std::string_view key, const auto& named) {
      for (const auto& [corpus, value] : named)
        if (!sorted_.family.contains(corpus))
          refuse(fmt::format("[region] {} names {}, which no model was trained on", key, corpus),
                 fmt::format("a corpus is the last part of its folder: {}",
                             fmt::join(sorted_.corpora, ", ")));
    };
    check("family", table_.family);
    check("centroid.control", sorted_.controls);
  }
  void check_shapes() {
    const Json shape = eval::evaluation_settings(sorted_.base.spec);
    const auto check = [&](const std::vector<Model>& models) {
      for (const Model& model : models)
        if (eval::evaluation_settings(model.spec) != shape ||
            model.spec.vocab != sorted_.base.spec.vocab)
          return refuse(
              fmt::format("run {} is a model of another shape than the base", model_label(model)),
              "width, layers, context and the like must be those of the base");
    };
    check(sorted_.models);
    check(sorted_.second_models);
    check(sorted_.amounts);
    for (const auto& [corpus, model] : sorted_.controls) check({model});
    if (sorted_.second) check({*sorted_.second});
  }

  const RegionTable& table_;
  const std::vector<Model>& models_;
  std::string file_;
  RegionModels sorted_ = {};
  std::vector<Error> problems_ = {};
};

}  // namespace

Result<RegionModels> region_models(const RegionTable& table,
                                   const std::vector<Model>& models,
                                   const std::string& file) {
  return Sorter(table, models, file).sorted();
}

std::string model_label(const Model& model) {
  return fmt::format("{} {}", model.corpus, model.replica);
}

std::string short_name(const Model& model) { return model.run.substr(0, 12); }

std::vector<std::string> corpora_of(const RegionModels& models, const std::string& family) {
  std::vector<std::string> corpora;
  for (const std::string& corpus : models.corpora)
    if (models.family.at(corpus) == family) corpora.push_back(corpus);
  return corpora;
}

std::vector<std::size_t> members_of(const RegionModels& models, const std::string& corpus) {
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < models.models.size(); ++i)
    if (models.models[i].corpus == corpus) members.push_back(i);
  return members;
}

}  // namespace ration::study
