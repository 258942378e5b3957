#include "study/region/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "region/hull.h"
#include "region/line.h"

namespace ration::study {
namespace {

constexpr std::size_t kTriangleSteps = 10;

using Weighted = std::vector<std::pair<std::string, double>>;

// Fills a list; every point is a sum of models, so that unit weights give a model bit for bit.
class Builder {
 public:
  Builder(const RegionTable& table, const RegionModels& models) : models_(models) {
    if (table.probe == "head_bias") points_.list.probe = run::PointProbe{};
  }

  void add_corpora(const std::vector<HeldOut>& held_out) {
    for (const HeldOut& held : held_out) {
      run::PointCorpus choose = held.choose;
      choose.name = choosing(choose.name);
      points_.list.corpora.push_back(std::move(choose));
      points_.list.corpora.push_back(held.report);
    }
  }
  std::string model(const Model& model) {
    points_.list.models[short_name(model)] = {.run = model.run, .step = 0, .sha256 = {}};
    return short_name(model);
  }
  std::string file(const ControlFile& control) {
    const std::string name = "control-" + control.sha256.substr(0, 12);
    points_.list.models[name] = {.run = {}, .step = 0, .sha256 = control.sha256};
    points_.list.files[name] = control.path;
    return name;
  }
  // The report half of some corpora; all halves of all where there are none.
  void add(std::string name, AboutPoint about, const std::vector<std::string>& corpora) {
    Json names = Json::array(), weights = Json::array();
    for (const auto& [model, weight] : about.weights) {
      names.push_back(model);
      weights.push_back(weight);
    }
    run::Point point{.name = std::move(name),
                     .recipe = {{"method", "linear"}, {"models", names}, {"weights", weights}},
                     .corpora = {}};
    for (const std::string& corpus : corpora) {
      const auto found = std::find(models_.corpora.begin(), models_.corpora.end(), corpus);
      point.corpora.push_back(2 * static_cast<std::size_t>(found - models_.corpora.begin()) + 1);
    }
    points_.list.points.push_back(std::move(point));
    points_.about.push_back(std::move(about));
  }
  RegionPoints take() { return std::move(points_); }

 private:
  const RegionModels& models_;
  RegionPoints points_ = {};
};

void add_lines(Builder& builder, std::span<const LinePair> lines) {
  const std::vector<double> alphas = region::line_alphas();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string a = builder.model(lines[i].a), b = builder.model(lines[i].b);
    for (std::size_t k = 0; k < alphas.size(); ++k)
      builder.add(line_point(i, k),
                  {.kind = "line",
                   .of = fmt::format("{} {}", lines[i].kind, i),
                   .alpha = alphas[k],
                   .weights = {{a, 1 - alphas[k]}, {b, alphas[k]}}},
                  lines[i].corpora);
  }
}

void add_region(Builder& builder,
                const RegionTable& table,
                const RegionModels& models,
                const Region& region,
                std::size_t place,
                const Controls& controls) {
  const std::size_t n = region.members.size();
  const auto mixed = [&](std::span<const double> weights) {
    Weighted mix;
    for (std::size_t i = 0; i < n; ++i)
      mix.emplace_back(builder.model(models.models[region.members[i]]), weights[i]);
    return mix;
  };
  const auto add = [&](const char* kind, std::int64_t number, Weighted weights) {
    builder.add(region_point(kind, region, number),
                {.kind = kind, .of = region.name, .alpha = 0, .weights = std::move(weights)},
                {region.target});
  };
  for (std::int64_t s = 0; s < table.hull_samples; ++s) {
    // Samples of different regions are different draws.
    const auto number = static_cast<std::uint64_t>(place) << 32 | static_cast<std::uint64_t>(s);
    add("hull", s, mixed(region::hull_weights(n, static_cast<std::uint64_t>(table.seed), number)));
  }
  add("centroid", 0, mixed(std::vector<double>(n, 1.0 / static_cast<double>(n))));
  for (const char* kind : {"random", "shuffled"}) {
    const auto files = controls.find({region.name, kind});
    if (files == controls.end()) continue;
    for (std::size_t c = 0; c < files->second.size(); ++c)
      add(kind, static_cast<std::int64_t>(c), {{builder.file(files->second[c]), 1.0}});
  }
}

void add_triangle(Builder& builder, const RegionModels& models) {
  const std::vector<std::size_t> corners = triangle_of(models);
  if (corners.empty()) return;
  std::vector<std::string> corpora;
  for (const std::size_t corner : corners) corpora.push_back(models.models[corner].corpus);
  const auto grid = region::triangle_weights(kTriangleSteps);
  for (std::size_t i = 0; i < grid.size(); ++i) {
    Weighted weights;
    for (std::size_t c = 0; c < 3; ++c)
      weights.emplace_back(builder.model(models.models[corners[c]]), grid[i][c]);
    builder.add(triangle_point(i),
                {.kind = "triangle", .of = "triangle", .alpha = 0, .weights = std::move(weights)},
                corpora);
  }
}

std::string weights_text(const Weighted& weights) {
  std::string text;
  for (const auto& [model, weight] : weights)
    text += fmt::format("{}{}:{:.6g}", text.empty() ? "" : " ", model, weight);
  return text;
}

}  // namespace

RegionPoints region_points(const RegionTable& table,
                           const RegionModels& models,
                           const std::vector<HeldOut>& held_out,
                           std::span<const LinePair> lines,
                           std::span<const Region> regions,
                           const Controls& controls) {
  Builder builder(table, models);
  builder.add_corpora(held_out);
  const auto alone = [&](const Model& model, const char* kind, std::string of) {
    builder.add(
        model_point(model),
        {.kind = kind, .of = std::move(of), .alpha = 0, .weights = {{builder.model(model), 1.0}}},
        {});
  };
  alone(models.base, "start", models.base.block);
  if (models.second) alone(*models.second, "start", models.second->block);
  for (const Model& model : models.models) alone(model, "model", model_label(model));
  std::set<std::string> controls_seen;  // corpora may share one
  for (const auto& [corpus, model] : models.controls)
    if (controls_seen.insert(model.run).second) alone(model, "start", model.block);
  add_lines(builder, lines);
  for (std::size_t i = 0; i < regions.size(); ++i)
    add_region(builder, table, models, regions[i], i, controls);
  add_triangle(builder, models);
  return builder.take();
}

std::string choosing(const std::string& corpus) { return corpus + " (to choose on)"; }

std::string model_point(const Model& model) { return "model/" + short_name(model); }
std::string line_point(std::size_t line, std::size_t alpha) {
  return fmt::format("line/{}/{}", line, alpha);
}
std::string region_point(std::string_view kind, const Region& region, std::int64_t number) {
  return fmt::format("{}/{}/{}", kind, region.name, number);
}
std::string triangle_point(std::size_t number) { return fmt::format("triangle/{}", number); }

RegionLosses::RegionLosses(std::span<const eval::PointLoss> losses) {
  for (const eval::PointLoss& loss : losses) losses_[{loss.point, loss.corpus}] = loss.loss;
}

double RegionLosses::at(const std::string& point, const std::string& corpus) const {
  const auto found = losses_.find({point, corpus});
  return found == losses_.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

DataTable points_table(const RegionPoints& points, std::span<const eval::PointLoss> losses) {
  using tables::Type;
  DataTable table{.name = "points",
                  .columns = {{"point", Type::text},
                              {"kind", Type::text},
                              {"of", Type::text},
                              {"alpha", Type::real},
                              {"weights", Type::text},
                              {"corpus", Type::text},
                              {"loss", Type::real},
                              {"tokens", Type::whole}},
                  .rows = {}};
  std::map<std::string, const AboutPoint*> about;
  for (std::size_t i = 0; i < points.about.size(); ++i)
    about[points.list.points[i].name] = &points.about[i];
  for (const eval::PointLoss& loss : losses) {
    const AboutPoint& point = *about.at(loss.point);
    table.rows.push_back({loss.point,
                          point.kind,
                          point.of,
                          point.kind == "line" ? tables::Cell(point.alpha) : tables::Cell(),
                          weights_text(point.weights),
                          loss.corpus,
                          std::isnan(loss.loss) ? tables::Cell() : tables::Cell(loss.loss),
                          loss.tokens});
  }
  return table;
}

}  // namespace ration::study
