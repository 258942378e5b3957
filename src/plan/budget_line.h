#pragma once

// The allocations that spend what a request allows: for each ln N the most tokens within every
// limit, or the tokens that the request fixes. Of one law, or averaged over several. Private to the
// room.

#include <utility>
#include <vector>

#include "fit/average.h"
#include "fit/law.h"
#include "plan/request.h"

namespace ration::plan {

class BudgetLine {
 public:
  // `law`, `x` and `request` must outlive the line. Needs exists(request).
  BudgetLine(const fit::Law& law, std::span<const double> x, const Request& request);
  // ln L is then the mean over the modes, whose weights add up to 1. `modes` must outlive it too.
  BudgetLine(std::span<const fit::Mode> modes, const Request& request);

  // Whether any model size from 100 to 1e14 parameters fits the request.
  static bool exists(const Request& request);

  // ln D at a model size.
  double log_tokens(double log_n) const;
  // ln of the unique tokens that would be worth as much, drawn alike, as the request's pools are
  // at ln D tokens, by the first law: the pools' own sum where they repeat equally often.
  double log_unique(double log_d) const;
  std::pair<double, double> range() const { return {first_, last_}; }  // of ln N

  // What keeps the tokens at a model size from being more.
  bool limited_by_epochs(double log_n) const;
  bool limited_by_time(double log_n) const;

  double log_loss(double log_n);
  // ln L at `points` equidistant ln N over the range.
  std::vector<double> grid(std::size_t points) const;
  // ln N of the least ln L: the lowest of `points` (at least 8) on a grid, then Brent's method.
  double lowest(std::size_t points);

 private:
  struct Member {
    const fit::Law* law;
    std::span<const double> x;
    double weight;
  };

  double log_unique(const Member& member, double log_d) const;

  std::vector<Member> members_;
  const Request& request_;
  double log_u_ = 0;
  double first_ = 0;
  double last_ = 0;
  fit::Points point_;
};

}  // namespace ration::plan
