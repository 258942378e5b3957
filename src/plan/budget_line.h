#pragma once

// The allocations that spend a budget C: 6 N D = C, one for each ln N. Private to the room.

#include <utility>
#include <vector>

#include "fit/law.h"
#include "plan/plan.h"

namespace ration::plan {

class BudgetLine {
 public:
  // `law` and `x` must outlive the line. Needs exists(request).
  BudgetLine(const fit::Law& law, std::span<const double> x, const Request& request);

  // Whether any model size from 100 to 1e14 parameters fits the request.
  static bool exists(const Request& request);

  double log_budget_over_6() const { return log_c6_; }
  double log_unique() const { return log_u_; }
  double log_tokens(double log_n) const { return log_c6_ - log_n; }
  std::pair<double, double> range() const { return {first_, last_}; }  // of ln N
  bool limited_by_epochs() const { return limited_; }

  double log_loss(double log_n);
  // ln L at `points` equidistant ln N over the range.
  std::vector<double> grid(std::size_t points) const;

 private:
  const fit::Law& law_;
  std::span<const double> x_;
  double log_c6_ = 0;
  double log_u_ = 0;
  double first_ = 0;
  double last_ = 0;
  bool limited_ = false;
  fit::Points point_;
};

}  // namespace ration::plan
