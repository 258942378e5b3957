// [fuse] as the journal keeps it.

#include <fmt/format.h>

#include "fuse/config_parts.h"
#include "fuse/words.h"

namespace ration::fuse {
namespace {

Json json_of(const Contributor& contributor) {
  Json json = contributor.settings;
  json["id"] = contributor.id;
  json["weight"] = contributor.weight;
  if (!contributor.data.empty()) json["data"] = contributor.data;
  if (contributor.external) {
    json["external"] = true;
    json["tokens"] = contributor.tokens;
  }
  return json;
}

Json json_of(const merge::Recipe& op) {
  Json json = merge::to_json(op);
  for (const char* const given : {"base", "models", "weights"}) json.erase(given);
  return json;
}

}  // namespace

std::string text_of(const Fault& fault) {
  if (fault.kind == Fault::Kind::flip) return "flip";
  return fmt::format("{}:{}", word(fault.kind), fault.value);
}

Json to_json(const Config& config) {
  Json screen = Json::array(), contributors = Json::array(), faults = Json::object();
  for (const Check check : config.screen) screen.push_back(word(check));
  for (const Contributor& each : config.contributors) contributors.push_back(json_of(each));
  for (const auto& [id, fault] : config.faults) faults[id] = text_of(fault);
  return {{"base", config.base},
          {"mode", word(config.mode)},
          {"rounds", config.rounds},
          {"contributors_per_round", config.contributors_per_round},
          {"seed", config.seed},
          {"op", json_of(config.op)},
          {"clip", config.clip},
          {"eta", config.eta},
          {"momentum", config.momentum},
          {"weights", word(config.weights)},
          {"quorum", config.quorum},
          {"deadline_s", config.deadline_s},
          {"on_stall", word(config.on_stall)},
          {"max_retries", config.max_retries},
          {"late", word(config.late)},
          {"gamma", config.gamma},
          {"staleness_max", config.staleness_max},
          {"screen", std::move(screen)},
          {"norm_z", config.norm_z},
          {"norm_near", config.norm_near},
          {"norm_ratio", config.norm_ratio},
          {"norm_max", config.norm_max},
          {"cosine_min", config.cosine_min},
          {"probe", config.probe},
          {"probe_windows", config.probe_windows},
          {"probe_slack", config.probe_slack},
          {"probe_z", config.probe_z},
          {"rollback", config.rollback},
          {"fixed", config.fixed},
          {"contributor", std::move(contributors)},
          {"faults", std::move(faults)}};
}

}  // namespace ration::fuse
