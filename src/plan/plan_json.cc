#include "plan/plan.h"

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

}  // namespace

Json to_json(const Plan& plan, const fit::Fit& fit) {
  Json document = to_json(plan.best);
  document["schema"] = "ration.plan/1";
  document["law"] = fit.law->name();
  document["interval"] = fit.interval;
  document["params_convention"] = fit.params_convention;
  document["budget"] = plan.request.budget.value;
  document["unique_tokens"] = plan.request.unique.value;
  document["max_epochs"] =
      plan.request.max_epochs ? Json(plan.request.max_epochs->value) : Json(nullptr);
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
  document["warnings"] = plan.warnings;
  return document;
}

}  // namespace ration::plan
