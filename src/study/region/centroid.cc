#include "study/region/centroid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "eval/points.h"
#include "study/training.h"

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// How a corpus's own models were trained; the rest of a run's settings is this study's.
constexpr std::array<std::string_view, 16> kTraining = {"dropout",
                                                        "z_loss",
                                                        "unique_tokens",
                                                        "subset_seed",
                                                        "val_tokens",
                                                        "batch_sequences",
                                                        "beta1",
                                                        "beta2",
                                                        "adam_eps",
                                                        "weight_decay",
                                                        "clip",
                                                        "schedule",
                                                        "warmup_fraction",
                                                        "final_lr_fraction",
                                                        "decay_fraction",
                                                        "on_spike"};

Json json_of(const run::Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

const Model& model_of(const RegionModels& models, const std::string& corpus) {
  return models.models[members_of(models, corpus).front()];
}

// The settings that all fine-tunings of a corpus share.
Json shared_settings(const RegionTable& table, const Model& like) {
  Json settings = eval::evaluation_settings(like.spec);
  settings.erase("seed");
  for (const std::string_view name : kTraining)
    settings[std::string(name)] = json_of(run::get(like.spec, name));
  keep_execution(like.execution, settings);
  settings["lr"] = table.centroid->lr > 0 ? table.centroid->lr : like.spec.lr;
  return settings;
}

std::string tuned_point(const Tuned& tuned) { return "tuned/" + short_name(tuned.model); }

}  // namespace

std::vector<std::size_t> averaged(const RegionTable& table,
                                  const RegionModels& models,
                                  const std::string& target) {
  std::map<std::string, std::int64_t> taken;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < models.models.size(); ++i) {
    const std::string& corpus = models.models[i].corpus;
    const std::int64_t most = table.centroid->replicas;
    if (corpus != target && (most == 0 || ++taken[corpus] <= most)) places.push_back(i);
  }
  return places;
}

std::size_t best_other(const RegionModels& models,
                       const std::vector<std::size_t>& some,
                       const std::string& target,
                       const RegionLosses& losses) {
  const auto loss = [&](std::size_t i) {
    const double found = losses.at(model_point(models.models[i]), choosing(target));
    return std::isnan(found) ? std::numeric_limits<double>::infinity() : found;
  };
  return *std::min_element(
      some.begin(), some.end(), [&](std::size_t a, std::size_t b) { return loss(a) < loss(b); });
}

std::string centroid_sweep(const RegionTable& table,
                           const RegionModels& models,
                           const std::vector<TuneStart>& starts,
                           const std::string& name) {
  Json blocks = Json::array();
  for (const std::string& corpus : models.corpora) {
    const Model& like = model_of(models, corpus);
    Json rows = Json::array();
    for (const TuneStart& start : starts) {
      if (start.corpus != corpus) continue;
      for (const std::string& tune : table.centroid->tune)
        for (const std::int64_t tokens : table.centroid->tokens)
          for (std::int64_t seed = 0; seed < table.centroid->seeds; ++seed)
            rows.push_back({{"init", start.init},
                            {"tune", tune},
                            {"tokens", tokens},
                            {"seed", 1000 * (table.seed + 1) + seed}});
    }
    blocks.push_back({{"data", std::filesystem::absolute(like.data).string()},
                      {"fixed", shared_settings(table, like)},
                      {"list", std::move(rows)}});
  }
  return Json{{"name", name}, {"vary_subset", false}, {"block", std::move(blocks)}}.dump(1) + "\n";
}

Result<std::vector<Tuned>> tuned_of(const std::vector<Model>& runs,
                                    const std::vector<TuneStart>& starts) {
  std::vector<Tuned> tuned;
  for (const Model& run : runs) {
    const auto start = std::find_if(starts.begin(), starts.end(), [&](const TuneStart& each) {
      return each.corpus == run.corpus && each.id == run.spec.init;
    });
    if (start == starts.end())
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("run {} of the centroid's sweep has a start of its own: {}",
                                       short_name(run),
                                       run.spec.init)};
    tuned.push_back({.model = run, .start = start->name, .loss = kNone});
  }
  return tuned;
}

run::PointList tuned_points(const RegionTable& table,
                            const std::vector<Tuned>& tuned,
                            const std::vector<HeldOut>& held_out) {
  run::PointList list;
  if (table.probe == "head_bias") list.probe = run::PointProbe{};
  std::map<std::string, std::size_t> places;
  for (const HeldOut& held : held_out) {
    places[held.report.name] = list.corpora.size();
    list.corpora.push_back(held.report);
  }
  for (const Tuned& each : tuned) {
    const std::string name = short_name(each.model);
    list.models[name] = {.run = each.model.run, .step = 0, .sha256 = {}};
    list.points.push_back({.name = tuned_point(each),
                           .recipe = {{"method", "linear"}, {"models", {name}}, {"weights", {1.0}}},
                           .corpora = {places.at(each.model.corpus)}});
  }
  return list;
}

void take_losses(std::vector<Tuned>& tuned, const RegionLosses& losses) {
  for (Tuned& each : tuned) each.loss = losses.at(tuned_point(each), each.model.corpus);
}

}  // namespace ration::study
