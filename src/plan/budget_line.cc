#include "plan/budget_line.h"

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>

namespace ration::plan {
namespace {

constexpr double kLogSmallest = 4.605170185988092;  // ln 100 parameters
constexpr double kLogLargest = 32.23619130191664;   // ln 1e14 parameters
constexpr double kNear = 1e-6;                      // of logarithms: a limit is reached

// ln D that the budget leaves for training, -infinity where serving alone costs more.
double log_tokens_of_budget(const Request& request, double log_n) {
  const double fresh = std::log(request.budget.value / 6) - log_n;
  return request.served.value > 0 ? std::log(std::exp(fresh) - request.served.value / 3) : fresh;
}

double log_tokens_of_time(const Request& request, double log_n) {
  if (!request.time) return HUGE_VAL;
  return std::log(*request.time * tokens_per_second(request, Params(std::exp(log_n))));
}

// One rate of drawing, for the pools that repeat equally often.
struct Draw {
  double unique = 0;
  double share = 0;
};

std::vector<Draw> draws_of(const Request& request) {
  std::vector<Draw> draws;
  Draw rest{0, 1};
  for (const Pool& pool : request.pools) {
    if (pool.share) {
      draws.push_back({pool.unique.value, *pool.share});
      rest.share -= *pool.share;
    } else {
      rest.unique += pool.unique.value;
    }
  }
  if (rest.unique > 0) draws.push_back(rest);
  return draws;
}

double log_tokens_of_epochs(const Request& request) {
  if (!request.max_epochs) return HUGE_VAL;
  double tokens = request.max_epochs->value * request.unique.value;
  for (const Draw& draw : draws_of(request))
    tokens = std::min(tokens, request.max_epochs->value * draw.unique / draw.share);
  return std::log(tokens);
}

double log_tokens_of_limits(const Request& request, double log_n) {
  // log of a negative number is NaN, which min() would pass over
  const double budget = log_tokens_of_budget(request, log_n);
  return std::isnan(budget) ? -HUGE_VAL : std::min(budget, log_tokens_of_time(request, log_n));
}

struct Ends {
  double first = 0, last = 0;
  bool any = false;
};

Ends ends(const Request& request) {
  const double fewest = request.tokens ? std::log(request.tokens->value) : 0;  // or one token
  const auto affordable = [&](double log_n) {
    return log_tokens_of_limits(request, log_n) >= fewest - 1e-12;
  };
  Ends range{kLogSmallest, kLogLargest};
  if (request.max_params) range.last = std::min(range.last, std::log(request.max_params->value));
  if (request.params) range.first = range.last = std::log(request.params->value);
  range.any = range.first <= range.last && affordable(range.first);
  if (request.max_params && request.params) range.any &= *request.params <= *request.max_params;
  if (request.tokens) range.any &= fewest <= log_tokens_of_epochs(request) + kNear;
  if (!range.any || affordable(range.last)) return range;
  double inside = range.first;
  for (int i = 0; i < 60; ++i) {
    const double middle = (inside + range.last) / 2;
    (affordable(middle) ? inside : range.last) = middle;
  }
  range.last = inside;
  return range;
}

bool decays(const fit::Law& law) {
  const std::span<const fit::Parameter> all = law.parameters();
  return std::any_of(all.begin(), all.end(), [](const fit::Parameter& p) {
    return p.role == fit::Parameter::Role::data_decay;
  });
}

}  // namespace

BudgetLine::BudgetLine(const fit::Law& law, std::span<const double> x, const Request& request)
    : members_{{&law, x, 1}}, request_(request), log_u_(std::log(request.unique.value)) {
  const Ends range = ends(request);
  first_ = range.first;
  last_ = range.last;
  point_.resize(1);
}

BudgetLine::BudgetLine(std::span<const fit::Mode> modes, const Request& request)
    : BudgetLine(*modes.front().law, modes.front().x, request) {
  members_.clear();
  for (const fit::Mode& mode : modes) members_.push_back({mode.law, mode.x, mode.weight});
}

bool BudgetLine::exists(const Request& request) { return ends(request).any; }

double BudgetLine::log_tokens(double log_n) const {
  if (request_.tokens) return std::log(request_.tokens->value);
  return std::min(log_tokens_of_limits(request_, log_n), log_tokens_of_epochs(request_));
}

double BudgetLine::log_unique(double log_d) const { return log_unique(members_.front(), log_d); }

double BudgetLine::log_unique(const Member& member, double log_d) const {
  if (request_.pools.empty()) return log_u_;
  const std::vector<Draw> draws = draws_of(request_);
  if (draws.size() == 1) return log_u_;
  if (!decays(*member.law)) {
    // No law says how pools add up then: the unique tokens are those at which a token, drawn at
    // random, has been repeated as often as one is on average here.
    double repeats = 0;
    for (const Draw& draw : draws)
      repeats += draw.share * std::max(0.0, draw.share * std::exp(log_d) / draw.unique - 1);
    return std::min(log_d - std::log1p(repeats), log_u_);
  }
  double worth = 0;  // in fresh tokens
  for (const Draw& draw : draws)
    worth += std::exp(member.law->log_effective_tokens(
        member.x, std::log(draw.share) + log_d, std::log(draw.unique)));
  const double log_worth = std::log(worth);
  // What D tokens are worth grows with their unique part.
  double low = log_d - 60, high = std::min(log_u_, log_d);
  if (member.law->log_effective_tokens(member.x, log_d, high) <= log_worth) return log_u_;
  constexpr int kSteps = 50;
  for (int i = 0; i < kSteps; ++i) {
    const double middle = (low + high) / 2;
    const bool below = member.law->log_effective_tokens(member.x, log_d, middle) < log_worth;
    (below ? low : high) = middle;
  }
  return high;
}

bool BudgetLine::limited_by_epochs(double log_n) const {
  return !request_.tokens && log_tokens(log_n) >= log_tokens_of_epochs(request_) - kNear;
}

bool BudgetLine::limited_by_time(double log_n) const {
  return log_tokens(log_n) >= log_tokens_of_time(request_, log_n) - kNear;
}

double BudgetLine::log_loss(double log_n) {
  const double log_d = log_tokens(log_n);
  double mean = 0;
  for (const Member& member : members_) {
    point_.set(0, log_n, log_d, log_unique(member, log_d));
    double log_loss = 0;
    member.law->evaluate(member.x, point_, {&log_loss, 1}, {});
    mean += member.weight * log_loss;
  }
  return mean;
}

std::vector<double> BudgetLine::grid(std::size_t points) const {
  fit::Points all;
  all.resize(points);
  const double step = (last_ - first_) / static_cast<double>(points - 1);
  std::vector<double> mean(points), log_loss(points);
  for (const Member& member : members_) {
    for (std::size_t i = 0; i < points; ++i) {
      const double log_n = first_ + step * static_cast<double>(i);
      const double log_d = log_tokens(log_n);
      all.set(i, log_n, log_d, log_unique(member, log_d));
    }
    member.law->evaluate(member.x, all, log_loss, {});
    for (std::size_t i = 0; i < points; ++i) mean[i] += member.weight * log_loss[i];
  }
  return mean;
}

double BudgetLine::lowest(std::size_t points) {
  if (first_ == last_) return first_;
  const double step = (last_ - first_) / static_cast<double>(points - 1);
  const std::vector<double> losses = grid(points);
  const auto lowest =
      static_cast<std::size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
  const double middle = first_ + step * static_cast<double>(lowest);

  constexpr int kBits = 30;  // of ln N: beyond that the loss does not change in double precision
  const auto [log_n, log_loss_there] =
      boost::math::tools::brent_find_minima([&](double x) { return log_loss(x); },
                                            std::max(first_, middle - step),
                                            std::min(last_, middle + step),
                                            kBits);
  return log_loss_there <= losses[lowest] ? log_n : middle;
}

}  // namespace ration::plan
