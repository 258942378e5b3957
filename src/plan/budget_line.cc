#include "plan/budget_line.h"

#include <algorithm>
#include <cmath>

namespace ration::plan {
namespace {

constexpr double kLogSmallest = 4.605170185988092;  // ln 100 parameters
constexpr double kLogLargest = 32.23619130191664;   // ln 1e14 parameters

struct Ends {
  double first = 0, last = 0;
  bool limited = false;
};

Ends ends(const Request& request) {
  const double log_c6 = std::log(request.budget.value / 6);
  Ends range{kLogSmallest, std::min(kLogLargest, log_c6)};  // at least one token
  if (!request.max_epochs) return range;
  const double fewest = log_c6 - std::log(request.max_epochs->value * request.unique.value);
  range.limited = fewest > range.first;
  range.first = std::max(range.first, fewest);
  return range;
}

}  // namespace

BudgetLine::BudgetLine(const fit::Law& law, std::span<const double> x, const Request& request)
    : law_(law),
      x_(x),
      log_c6_(std::log(request.budget.value / 6)),
      log_u_(std::log(request.unique.value)) {
  const Ends range = ends(request);
  first_ = range.first;
  last_ = range.last;
  limited_ = range.limited;
  point_.resize(1);
}

bool BudgetLine::exists(const Request& request) {
  const Ends range = ends(request);
  return range.first < range.last;
}

double BudgetLine::log_loss(double log_n) {
  point_.set(0, log_n, log_tokens(log_n), log_u_);
  double log_loss = 0;
  law_.evaluate(x_, point_, {&log_loss, 1}, {});
  return log_loss;
}

std::vector<double> BudgetLine::grid(std::size_t points) const {
  fit::Points all;
  all.resize(points);
  const double step = (last_ - first_) / static_cast<double>(points - 1);
  for (std::size_t i = 0; i < points; ++i) {
    const double log_n = first_ + step * static_cast<double>(i);
    all.set(i, log_n, log_tokens(log_n), log_u_);
  }
  std::vector<double> log_loss(points);
  law_.evaluate(x_, all, log_loss, {});
  return log_loss;
}

}  // namespace ration::plan
