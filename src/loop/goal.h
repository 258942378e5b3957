#pragma once

// When a loop has learnt enough: "interval(epochs) < 25% and interval(loss) < 0.02".
//
//   Result<Goal> goal = parse_goal("interval(epochs) < 25%", fit::find_law("data-constrained"));
//   for (const Measured& m : measure(*goal, fit, plan)) print(m.quantity, m.width, m.reached);
//
// A goal is one or more conditions joined by `and`. Each names a quantity of the plan (epochs,
// params, tokens, loss) or a parameter of the law (alpha, rd_star, …). Its interval is that of the
// fit (90 % unless the fit says otherwise) and its width is high - low: with `%` as a share of the
// value, without it in the quantity's own unit (nats, tokens, parameters).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fit/fit.h"
#include "plan/plan.h"

namespace ration::loop {

struct Condition {
  std::string quantity;
  double limit = 0;      // above 0; 0.25 for 25%
  bool relative = true;  // of the value
};

struct Goal {
  std::string text;  // as it was written
  std::vector<Condition> conditions;
};

// A quantity as the runs have it, held against its condition.
struct Measured {
  std::string quantity;
  std::optional<double> value;  // nothing: the law has no such parameter, or there is no fit
  std::optional<double> low, high;
  std::optional<double> width;  // nothing where the interval is open; a share where `relative`
  double limit = 0;
  bool relative = true;
  bool reached = false;

  bool operator==(const Measured&) const = default;
};

// `law`: whose parameters may be named; nullptr = those of any law, where the law is chosen later.
// Errors are ErrorKind::usage with the place in the expression and what is allowed there.
Result<Goal> parse_goal(std::string_view text, const fit::Law* law);

// One entry a condition, in their order.
std::vector<Measured> measure(const Goal& goal, const fit::Fit& fit, const plan::Plan& plan);
// The same before anything is known.
std::vector<Measured> unmeasured(const Goal& goal);

}  // namespace ration::loop
