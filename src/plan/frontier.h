#pragma once

// Plans over a range of budgets.

#include <span>

#include "plan/plan.h"

namespace ration::plan {

struct FrontierPoint {
  Flops budget;
  Optimum optimum;  // with the limits that bind
  Allocation best;  // the same, with intervals
};

// The best allocation for each budget; everything else as in `request`. Errors as make_plan().
Result<std::vector<FrontierPoint>> frontier(const fit::Fit& fit,
                                            const Request& request,
                                            std::span<const Flops> budgets);

// `count` budgets from low to high, equally far apart in ln C; 2 to 1000 of them.
std::vector<Flops> budgets_between(Flops low, Flops high, int count);

// budget,params,tokens,epochs,loss,loss_low,loss_high and the intervals of the others: one line a
// point.
std::string frontier_csv(std::span<const FrontierPoint> points);

// params,tokens,epochs,flops,loss,low,high of the allocations of trace(): one line each.
std::string trace_csv(std::span<const Allocation> allocations);

// The member `frontier` of the document ration.plan/1 (docs/planning.md).
Json to_json(const std::vector<FrontierPoint>& points);

}  // namespace ration::plan
