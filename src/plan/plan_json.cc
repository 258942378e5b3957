#include <cmath>

#include "plan/frontier.h"
#include "plan/needed.h"
#include "plan/repetition.h"

namespace ration::plan {
namespace {

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Amount& amount) {
  return {{"value", amount.value},
          {"low", optional_number(amount.low)},
          {"high", optional_number(amount.high)}};
}

Json to_json(const Allocation& allocation) {
  return {{"params", to_json(allocation.params)},
          {"tokens", to_json(allocation.tokens)},
          {"epochs", to_json(allocation.epochs)},
          {"loss", to_json(allocation.loss)}};
}

Json to_json(const fit::Span& span) { return {{"low", span.low}, {"high", span.high}}; }

Json to_json(const Alternative& alternative) {
  return {{"objective_ratio", alternative.objective_ratio},
          {"params", alternative.optimum.params},
          {"tokens", alternative.optimum.tokens},
          {"epochs", alternative.optimum.epochs},
          {"loss", alternative.optimum.loss}};
}

Json to_json(const AveragedPlan& average) {
  Json document = to_json(average.best);
  document["opinions"] = Json::array();
  for (const Opinion& opinion : average.opinions)
    document["opinions"].push_back({{"law", opinion.law->name()},
                                    {"weight", opinion.weight},
                                    {"near", opinion.near},
                                    {"params", opinion.optimum.params},
                                    {"tokens", opinion.optimum.tokens},
                                    {"epochs", opinion.optimum.epochs},
                                    {"loss", opinion.optimum.loss}});
  return document;
}

Json positive_or_null(double value) {
  return std::isfinite(value) && value > 0 ? Json(value) : Json(nullptr);
}

Json limits_json(const Optimum& optimum) {
  Json limits = Json::array();
  if (optimum.at_max_epochs) limits.push_back("epochs");
  if (optimum.at_max_params) limits.push_back("params");
  if (optimum.at_max_time) limits.push_back("time");
  if (optimum.at_harm) limits.push_back("harm");
  return limits;
}

}  // namespace

Json to_json(const Repetition& repetition) {
  Json rows = Json::array();
  for (const EpochRow& row : repetition.rows)
    rows.push_back({{"epochs", row.epochs},
                    {"tokens", row.tokens},
                    {"loss", to_json(row.loss)},
                    {"gain_of_next", row.gain},
                    {"worth", row.worth}});
  return {{"params", repetition.params},
          {"rows", rows},
          {"half_life", repetition.half_life ? to_json(*repetition.half_life) : Json(nullptr)},
          {"harmful_from", optional_number(repetition.harmful_from)}};
}

Json to_json(const Exchange& exchange) {
  return {{"factor", exchange.factor},
          {"gain_of_data", to_json(exchange.gain_of_data)},
          {"gain_of_compute", to_json(exchange.gain_of_compute)},
          {"compute_for_data", optional_number(exchange.compute_for_data)}};
}

Json to_json(const std::vector<FrontierPoint>& points) {
  Json rows = Json::array();
  for (const FrontierPoint& point : points) {
    Json row = to_json(point.best);
    row["budget"] = point.budget.value;
    row["limits"] = limits_json(point.optimum);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json to_json(const Needed& needed) {
  return {{"budget", to_json(needed.budget)},
          {"average", needed.average ? to_json(*needed.average) : Json(nullptr)}};
}

Json to_json(const Plan& plan, const fit::Fit& fit) {
  Json document = to_json(plan.best);
  document["schema"] = "ration.plan/1";
  document["law"] = fit.law->name();
  document["interval"] = fit.interval;
  document["params_convention"] = fit.params_convention;
  document["budget"] = positive_or_null(plan.request.budget.value);
  document["unique_tokens"] = plan.request.unique.value;
  document["max_epochs"] =
      plan.request.max_epochs ? Json(plan.request.max_epochs->value) : Json(nullptr);
  document["limits"] = limits_json(plan.optimum);
  document["flops"] = plan.flops;
  document["seconds"] = optional_number(plan.seconds);
  document["served_tokens"] = plan.request.served.value;
  document["pools"] = Json::array();
  for (const PoolUse& pool : plan.pools)
    document["pools"].push_back({{"name", pool.name},
                                 {"share", pool.share},
                                 {"tokens", pool.tokens},
                                 {"epochs", pool.epochs}});
  document["proportional_loss"] = optional_number(plan.proportional_loss);
  document["baseline"] = to_json(plan.baseline);
  document["valley"] = {{"tolerance", plan.valley.tolerance},
                        {"params", to_json(plan.valley.params)},
                        {"tokens", to_json(plan.valley.tokens)},
                        {"epochs", to_json(plan.valley.epochs)}};
  document["alternatives"] = Json::array();
  for (const Alternative& alternative : plan.alternatives)
    document["alternatives"].push_back(to_json(alternative));
  document["other_laws"] = Json::array();
  for (const OtherLaw& other : plan.other_laws)
    document["other_laws"].push_back({{"law", other.law->name()},
                                      {"distance", other.distance},
                                      {"params", other.optimum.params},
                                      {"tokens", other.optimum.tokens},
                                      {"epochs", other.optimum.epochs},
                                      {"loss", other.optimum.loss}});
  document["average"] = plan.average ? to_json(*plan.average) : Json(nullptr);
  document["warnings"] = plan.warnings;
  return document;
}

}  // namespace ration::plan
