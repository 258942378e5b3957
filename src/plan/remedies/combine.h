#pragma once

// The plan that combines what pays: the plan of plan.h with U replaced by U_eq.
//
//   Result<RemediedPlan> plan = plan_with_remedies(fit, {.budget = C, .unique = U}, list);
//
// Compute: m of a remedy that costs c times a plain run is measured against repetition of c times
// the tokens. The plan's budget therefore holds the overhead: of C FLOPs, C/c train.

#include "plan/plan.h"
#include "plan/remedies/price.h"

namespace ration::plan {

// A set of remedies and what it is worth together.
struct Combination {
  std::vector<std::string> arms;
  Amount multiplier;
  double compute = 1;         // c, the product over the arms
  bool measured = false;      // by an arm of its own; else a product of multipliers
  std::vector<double> draws;  // ln m
};

struct RemediedPlan {
  Plan without;        // the plan of the unique tokens at hand
  Plan with;           // of U_eq = m U: its epochs count U_eq
  Combination chosen;  // no arms: nothing pays
  // The product of everything that pays, where it was not measured together: a bound from above if
  // remedies get into each other's way. Nothing where `chosen` is all that pays.
  std::optional<Combination> product;
  std::optional<Amount> product_loss;
  Amount params, tokens, epochs, loss;  // epochs over the tokens at hand; over draws of law and m
  Amount gain;                          // loss without less loss with, plans made anew
  Flops training, overhead;             // of the budget
  std::vector<std::string> doubts;
};

// From the rows of the size nearest to the planned one. Only arms that are claimed count
// (PriceRow::claimed).
// Errors: those of make_plan(); a request with pools (ErrorKind::usage); a list of another law than
// the fit's (ErrorKind::input).
Result<RemediedPlan> plan_with_remedies(const fit::Fit& fit,
                                        const Request& request,
                                        const PriceList& list);

// The document ration.remedied_plan/1.
Json to_json(const RemediedPlan& plan, const fit::Fit& fit);

}  // namespace ration::plan
