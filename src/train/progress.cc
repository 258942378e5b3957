#include "train/progress.h"

#include "run/mixture.h"

namespace ration::train {
namespace {

Json to_json(const std::vector<StepRange>& ranges) {
  Json list = Json::array();
  for (const StepRange& range : ranges) list.push_back({range.begin, range.end});
  return list;
}

std::vector<StepRange> ranges_from(const Json& list) {
  std::vector<StepRange> ranges;
  for (const Json& pair : list) ranges.push_back({pair.at(0), pair.at(1)});
  return ranges;
}

}  // namespace

Json to_json(const Progress& p) {
  return {{"step", p.step},
          {"windows", p.windows},
          {"updates", p.updates},
          {"best_loss", p.best_loss},
          {"best_step", p.best_step},
          {"logged_loss", p.logged_loss},
          {"logged_steps", p.logged_steps},
          {"clipped", p.clipped},
          {"last_train_loss", p.last_train_loss},
          {"micro_batch", p.micro_batch},
          {"rewinds", p.rewinds},
          {"left_out", to_json(p.left_out)}};
}

Progress progress_from(const Json& json) {
  return {.step = json.at("step"),
          .windows = json.at("windows"),
          .updates = json.at("updates"),
          .best_loss = json.at("best_loss"),
          .best_step = json.at("best_step"),
          .logged_loss = json.at("logged_loss"),
          .logged_steps = json.at("logged_steps"),
          .clipped = json.at("clipped"),
          .last_train_loss = json.at("last_train_loss"),
          .micro_batch = json.value("micro_batch", std::int64_t{0}),
          .rewinds = json.value("rewinds", std::int64_t{0}),
          .left_out = ranges_from(json.value("left_out", Json::array()))};
}

Json param_counts(const run::RunSpec& spec) {
  const run::ParamCounts n = run::count_params(spec);
  return {{"block", n.block}, {"embed", n.embed}, {"head", n.head}, {"total", n.total}};
}

Json flops_per_token(const run::RunSpec& spec) {
  Json flops = Json::object();
  for (const auto& [convention, name] : run::kFlopConventions)
    flops[std::string(name)] = run::flops_per_token(spec, convention).value;
  return flops;
}

Json run_flops(const run::RunSpec& spec) {
  Json flops = Json::object();
  for (const auto& [convention, name] : run::kFlopConventions)
    flops[std::string(name)] = run::run_flops(spec, convention).value;
  return flops;
}

Json charged_flops(const run::RunSpec& spec, double policy_overhead) {
  Json flops = flops_per_token(spec);
  for (Json& each : flops)
    each = each.get<double>() * static_cast<double>(spec.tokens) * (1 + policy_overhead);
  return flops;
}

}  // namespace ration::train
