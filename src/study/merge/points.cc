#include "study/merge/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace ration::study {
namespace {

std::string name_of(const std::string& corpus, Half half) {
  return corpus + (half == Half::report ? "/report" : "/choose");
}

}  // namespace

std::string MergePoints::add(const Json& recipe,
                             const std::vector<std::size_t>& corpora,
                             Half half) {
  std::string name = canonical_json(recipe).value();  // members were checked: no NaN
  const auto [at, fresh] = index_.emplace(name, points_.size());
  if (fresh) points_.push_back({.name = name, .recipe = recipe, .corpora = {}});
  std::vector<std::size_t>& asked = points_[at->second].corpora;
  for (const std::size_t corpus : corpora)
    if (const std::size_t place = place_of(corpus, half);
        std::find(asked.begin(), asked.end(), place) == asked.end())
      asked.push_back(place);
  return name;
}

std::string MergePoints::add_model(const std::string& model,
                                   const std::vector<std::size_t>& corpora,
                                   Half half) {
  return add(merge_recipe("average", Json::object(), "", {model}), corpora, half);
}

void MergePoints::add_file(const std::string& name, const std::string& sha256, const Path& file) {
  weights_[name] = run::Weights{.run = {}, .step = 0, .sha256 = sha256};
  files_[name] = std::filesystem::absolute(file).lexically_normal().string();
}

run::PointList MergePoints::list() const {
  run::PointList list;
  list.models = models_.weights;
  list.files = models_.files;
  list.models.insert(weights_.begin(), weights_.end());
  list.files.insert(files_.begin(), files_.end());
  for (std::size_t corpus = 0; corpus < models_.corpora.size(); ++corpus)
    for (const Half half : {Half::choose, Half::report}) {
      const HeldOut& held = models_.windows[corpus];
      list.corpora.push_back(half == Half::choose ? held.choose : held.report);
      list.corpora.back().name = name_of(models_.corpora[corpus], half);
    }
  list.points = points_;
  return list;
}

Result<void> MergeLosses::evaluate(const MergePoints& points,
                                   const MergeEvaluate& evaluate,
                                   const std::string& part) {
  if (points.empty()) return {};
  const run::PointList list = points.list();
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < list.corpora.size(); ++i) places[list.corpora[i].name] = i;
  Result<std::vector<eval::PointLoss>> found = evaluate(list, part);
  if (!found) return std::move(found).error();
  for (const eval::PointLoss& each : *found)
    losses_[{each.point, places.at(each.corpus)}] = {.loss = each.loss, .tokens = each.tokens};
  return {};
}

MergeLosses::Loss MergeLosses::at(const std::string& point, std::size_t corpus, Half half) const {
  const auto found = losses_.find({point, place_of(corpus, half)});
  if (found == losses_.end())
    return {.loss = std::numeric_limits<double>::quiet_NaN(), .tokens = 0};
  return found->second;
}

}  // namespace ration::study
