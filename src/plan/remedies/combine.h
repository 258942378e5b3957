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
  std::string arm;            // that measured it; empty = a product of multipliers
  std::vector<double> draws;  // ln m
};

struct RemediedPlan {
  Plan without;  // of the unique tokens at hand
  // Of U_eq = m U: its tokens are those that the budget would pay without overhead, c times what is
  // trained on, and its epochs count U_eq.
  Plan with;
  Combination chosen;  // without arms where nothing pays
  // Everything that pays, multiplied, where that was not measured together: what it would be if
  // the remedies did not get into each other's way. Nothing where `chosen` has them all.
  std::optional<Combination> product;
  std::optional<Amount> product_loss;
  // What to train: tokens seen, epochs over the tokens at hand. Intervals over draws of the law and
  // of m.
  Amount params, tokens, epochs;
  Amount loss;                      // of that allocation
  Amount gain;                      // least loss without, less least loss with
  Flops training, overhead;         // of the budget
  std::vector<std::string> doubts;  // sentences
};

// Arms that are claimed (PriceRow::claimed), each by its row at the size and then the number of
// epochs nearest to those of the plan without; filters and mixtures that by the law stopped paying
// at these epochs are left out. Multipliers are multiplied only where the interaction was measured
// and its interval includes 0; an arm that joins several counts as measured.
// Errors: those of make_plan(); a request with pools (ErrorKind::usage); a list of another law or
// convention of counting parameters than the fit's (ErrorKind::input).
Result<RemediedPlan> plan_with_remedies(const fit::Fit& fit,
                                        const Request& request,
                                        const PriceList& list);

// The document ration.remedied_plan/1 (docs/formats.md).
Json to_json(const RemediedPlan& plan, const fit::Fit& fit);

}  // namespace ration::plan
