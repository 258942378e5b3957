#include "study/merge/world.h"

#include <fmt/format.h>

namespace ration::study::test {

MergeModels made_up_models(std::size_t corpora, std::size_t replicas) {
  MergeModels models;
  const auto add = [&](const std::string& name) {
    models.weights[name] =
        run::Weights{.run = fmt::format("{:032x}", models.weights.size()), .step = 0, .sha256 = {}};
    return name;
  };
  for (std::size_t replica = 0; replica < replicas; ++replica) {
    models.replicas.push_back(static_cast<std::int64_t>(replica));
    models.base.push_back(add("base"));
  }
  for (std::size_t corpus = 0; corpus < corpora; ++corpus) {
    const std::string name = fmt::format("c{}", corpus);
    models.corpora.push_back(name);
    models.windows.push_back({.choose = {.name = name, .data = "/" + name, .digest = "d"},
                              .report = {.name = name, .data = "/" + name, .digest = "d"},
                              .all = {}});
    models.own.emplace_back();
    for (std::size_t replica = 0; replica < replicas; ++replica)
      models.own.back().push_back(add(fmt::format("{}/{}", name, replica)));
  }
  return models;
}

MergeEvaluate made_up_losses(MadeUp recovered, std::vector<std::string>* parts) {
  return [recovered, parts](const run::PointList& list,
                            const std::string& part) -> Result<std::vector<eval::PointLoss>> {
    if (parts != nullptr) parts->push_back(part);
    // What a run would refuse, or could not read.
    if (Result<run::PointList> sound = run::parse_points(run::points_text(list), part); !sound)
      return std::move(sound).error();
    std::vector<eval::PointLoss> losses;
    for (const run::Point& point : list.points)
      for (const std::size_t place : point.corpora) {
        const std::string& name = list.corpora.at(place).name;  // "c3/report"
        const std::string corpus = name.substr(0, name.find('/'));
        const Half half = name.ends_with("report") ? Half::report : Half::choose;
        const auto models = point.recipe.at("models").get<std::vector<std::string>>();
        const std::string& first = models.front();
        double loss = 3;
        if (models.size() == 1 && point.recipe.at("method") == "average")
          loss = first == "base" ? 3 : first.starts_with(corpus + "/") ? 2 : 3.5;
        else
          loss = 3 - recovered(point.recipe,
                               std::stoul(corpus.substr(1)),
                               std::stoul(first.substr(first.find('/') + 1)),
                               half);
        losses.push_back({.point = point.name, .corpus = name, .loss = loss, .tokens = 64});
      }
    return losses;
  };
}

}  // namespace ration::study::test
