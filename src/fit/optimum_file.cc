#include "fit/optimum_file.h"

#include <fmt/format.h>

#include "fit/csv.h"

namespace ration::fit {
namespace {

Json or_null(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

Json to_json(const Prediction& p) {
  return {{"value", p.value}, {"low", or_null(p.low)}, {"high", or_null(p.high)}};
}

Json to_json(const Span& span) { return {{"low", span.low}, {"high", span.high}}; }

Json to_json(const OptimumLine& line) {
  return {{"exponent", to_json(line.exponent())},
          {"k", to_json(line.k())},
          {"flops", to_json(line.flops)},
          {"draws", line.draws.size()},
          {"failed", line.failed}};
}

Json to_json(const std::vector<Doubt>& doubts) {
  Json list = Json::array();
  for (const Doubt& doubt : doubts)
    list.push_back({{"subject", doubt.subject}, {"what", doubt.what}, {"fatal", doubt.fatal}});
  return list;
}

Json to_json(const IsoflopLevel& level) {
  Json document = {{"flops", level.flops.value},
                   {"flops_range", to_json(level.range)},
                   {"sizes", level.sizes},
                   {"slope", level.slope},
                   {"runs", Json::array()}};
  for (std::size_t i = 0; i < level.runs.size(); ++i)
    document["runs"].push_back({{"params", level.runs[i].params.value},
                                {"tokens", level.runs[i].tokens.value},
                                {"loss", level.runs[i].loss.value},
                                {"loss_at_level", level.losses[i]}});
  if (!level.rejected.empty()) {
    document["rejected"] = level.rejected;
    return document;
  }
  document["params_opt"] = level.vertex.value;
  document["log_params_opt_error"] = level.error;
  document["log_params_opt_error_drawn"] = level.drawn_error;
  document["tokens_opt"] = tokens_for(level.flops, level.vertex).value;
  document["loss_min"] = level.least.value;
  document["lopsided"] = level.lopsided;
  document["found"] = level.found;
  return document;
}

// What both documents begin and end with.
template <class Found>
Json common(const char* schema, const Found& found, std::span<const Flops> budgets) {
  Json document = {{"schema", schema},
                   {"source", found.source},
                   {"params_convention", found.params_convention},
                   {"interval", found.interval},
                   {"seed", found.seed},
                   {"line", found.line ? to_json(*found.line) : Json(nullptr)},
                   {"budgets", Json::array()},
                   {"doubts", to_json(found.doubts)},
                   {"trusted", found.trusted()}};
  if (found.line)
    for (const Flops budget : budgets) {
      const BudgetOptimum best = found.line->at(budget);
      document["budgets"].push_back({{"flops", budget.value},
                                     {"params", to_json(best.params)},
                                     {"tokens", to_json(best.tokens)},
                                     {"tokens_per_params", to_json(best.tokens_per_params)}});
    }
  return document;
}

}  // namespace

Json to_json(const Isoflop& found, std::span<const Flops> budgets) {
  Json document = common("ration.isoflop/1", found, budgets);
  document["curve"] = found.curve == ProfileCurve::parabola ? "parabola" : "akima";
  document["runs"] = found.runs;
  document["earlier_checkpoints"] = found.earlier;
  document["tolerance"] = found.tolerance;
  document["noise"] = {
      {"log_loss", found.noise}, {"source", found.noise_source}, {"freedom", found.noise_freedom}};
  document["scatter"] = found.scatter_known ? Json(found.scatter) : Json(nullptr);
  document["levels"] = Json::array();
  for (const IsoflopLevel& level : found.levels) document["levels"].push_back(to_json(level));
  return document;
}

Json to_json(const Envelope& found, std::span<const Flops> budgets) {
  Json document = common("ration.envelope/1", found, budgets);
  document["curves"] = found.curves;
  document["sizes"] = found.sizes;
  document["short_curves"] = found.short_curves;
  document["single_rows"] = found.single_rows;
  document["before_end"] = found.before_end;
  document["plain_exponent"] = found.line ? Json(found.plain_exponent) : Json(nullptr);
  document["steps"] = Json::array();
  for (const EnvelopeStep& step : found.steps)
    document["steps"].push_back({{"params", step.params.value},
                                 {"flops", step.center.value},
                                 {"flops_range", to_json(step.flops)},
                                 {"winners", step.winners}});
  return document;
}

std::string to_csv(const Isoflop& found) {
  std::string text = "flops,runs,sizes,params_opt,params_opt_error,tokens_opt,loss_min,rejected\n";
  for (const IsoflopLevel& level : found.levels) {
    const bool vertex = level.rejected.empty();
    text += fmt::format("{},{},{},", level.flops.value, level.runs.size(), level.sizes);
    text += vertex ? fmt::format("{},{},{},{},\n",
                                 level.vertex.value,
                                 level.error,
                                 tokens_for(level.flops, level.vertex).value,
                                 level.least.value)
                   : fmt::format(",,,,{}\n", csv_cell(level.rejected));
  }
  return text;
}

std::string to_csv(const Envelope& found) {
  std::string text = "flops,params,tokens,loss,run,edge\n";
  for (const EnvelopePoint& point : found.points)
    text += fmt::format("{},{},{},{},{},{:d}\n",
                        point.flops.value,
                        point.params.value,
                        tokens_for(point.flops, point.params).value,
                        point.loss.value,
                        csv_cell(point.run),
                        point.edge);
  return text;
}

}  // namespace ration::fit
