#pragma once

// What the classical procedures found, for other programs.

#include "base/json.h"
#include "fit/envelope.h"
#include "fit/isoflop.h"

namespace ration::fit {

// The documents ration.isoflop/1 and ration.envelope/1 of docs/fitting.md; `budgets` are answered
// in them.
Json to_json(const Isoflop& found, std::span<const Flops> budgets);
Json to_json(const Envelope& found, std::span<const Flops> budgets);

// One line a level: flops,runs,sizes,params_opt,params_opt_error,tokens_opt,loss_min,rejected. The
// error is that of ln params_opt.
std::string to_csv(const Isoflop& found);
// One line a value of compute: flops,params,tokens,loss,run,edge.
std::string to_csv(const Envelope& found);

}  // namespace ration::fit
