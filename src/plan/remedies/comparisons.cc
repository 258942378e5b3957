#include "plan/remedies/comparisons.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "plan/remedies/pays.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

// Both ends are known, and 0 lies between them.
bool surely_near_zero(const Amount& amount) {
  return amount.low && amount.high && *amount.low <= 0 && *amount.high >= 0;
}

// An open end includes everything on its side.
bool includes_zero(const Amount& amount) {
  return amount.low.value_or(-1) <= 0 && amount.high.value_or(1) >= 0;
}

double epochs_of(const PriceRow& row) { return row.baseline.tokens / row.baseline.unique; }

const Priced* find(std::span<const Priced> rows, const std::string& arm, std::size_t cell) {
  for (const Priced& priced : rows)
    if (priced.row.arm == arm && priced.pairs->cell == cell) return &priced;
  return nullptr;
}

// Least squares through (x_i, y_i).
double slope_of(const std::vector<double>& x, const std::vector<double>& y) {
  const double centre = mean_of(x), height = mean_of(y);
  double both = 0, square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    both += (x[i] - centre) * (y[i] - height);
    square += (x[i] - centre) * (x[i] - centre);
  }
  return both / square;
}

// ln m of every row at the best fit, the value to put intervals around.
double central(const PriceRow& row) { return std::log(row.effective.multiplier); }

// Sure enough to say on which side of 1 its multiplier lies; a bound is, too.
bool resolved(const PriceRow& row) {
  return !row.has(Flag::few_seeds) && !row.has(Flag::not_resolvable);
}

// Tokens seen at which ln m falls through 0, of every draw of the rows, which ascend in tokens; an
// end is open where a draw in the tail has no such place.
Amount crossing_of_draws(const std::vector<const PriceRow*>& rows, double level) {
  std::vector<double> at;
  const auto drawn = [&](std::size_t i, std::size_t b) {
    return std::min(rows[i]->draws[b], std::max(central(*rows[i]), 0.0) + 1);  // of bounds, too
  };
  for (std::size_t b = 0; b < rows.front()->draws.size(); ++b) {
    double found = drawn(0, b) < 0 ? 0 : HUGE_VAL;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const double before = drawn(i - 1, b), now = drawn(i, b);
      if (!(before >= 0 && now < 0)) continue;
      const double from = std::log(rows[i - 1]->baseline.tokens.value);
      const double to = std::log(rows[i]->baseline.tokens.value);
      found = std::exp(from + (to - from) * before / (before - now));
    }
    at.push_back(found);
  }
  Amount amount = amount_of(std::move(at), level);
  if (amount.low && !(*amount.low > 0)) amount.low.reset();
  return amount;
}

}  // namespace

std::vector<Interaction> interactions(std::span<const Priced> rows, const PriceOptions& options) {
  std::vector<Interaction> all;
  for (const Priced& joint : rows) {
    if (joint.row.kind != RemedyKind::combined) continue;
    std::vector<const Priced*> parts;
    for (const std::string& name : joint.pairs->arm->parts)
      if (const Priced* part = find(rows, name, joint.pairs->cell)) parts.push_back(part);
    if (parts.size() != joint.pairs->arm->parts.size()) continue;
    std::vector<double> draws = joint.row.draws;
    double value = central(joint.row);
    bool bounded = !joint.row.effective.saturated;
    for (const Priced* part : parts) {
      value -= central(part->row);
      bounded = bounded && !part->row.effective.saturated;
      // Infinite minus infinite is NaN, and left out.
      for (std::size_t b = 0; b < draws.size(); ++b) draws[b] -= part->row.draws[b];
    }
    Interaction found{.arm = joint.row.arm,
                      .size = joint.row.size,
                      .baseline = joint.row.baseline,
                      .parts = joint.pairs->arm->parts,
                      .value = amount_of(std::move(draws), options.level)};
    found.value.value = value;
    // One pair says nothing of how far values spread.
    for (const Priced* part : parts)
      if (part->row.pairs < 2 || joint.row.pairs < 2) found.value = {value};
    // An open interval includes 0 without saying anything for it.
    found.multiplies = bounded && found.value.low && found.value.high && includes_zero(found.value);
    all.push_back(std::move(found));
  }
  return all;
}

std::vector<Sizes> compare_sizes(std::span<const Priced> rows, const PriceOptions& options) {
  std::map<const Arm*, std::map<std::pair<double, std::string>, const PriceRow*>> best;
  for (const Priced& priced : rows) {
    const PriceRow& row = priced.row;
    if (!row.comparable()) continue;
    const PriceRow*& kept = best[priced.pairs->arm][{row.baseline.params.value, row.size}];
    if (!kept || std::tuple(row.pairs, epochs_of(row)) > std::tuple(kept->pairs, epochs_of(*kept)))
      kept = &row;
  }
  std::vector<Sizes> all;
  for (const auto& [arm, by_size] : best) {
    if (by_size.size() < 2) continue;
    Sizes sizes{.arm = arm->name, .agree = true};
    std::vector<const PriceRow*> chosen;
    std::vector<double> log_n, log_m;
    for (const auto& [size, row] : by_size) {
      chosen.push_back(row);
      sizes.sizes.push_back(row->size);
      sizes.params.push_back(row->baseline.params.value);
      sizes.multipliers.push_back(row->effective.multiplier);
      log_n.push_back(std::log(row->baseline.params.value));
      log_m.push_back(central(*row));
    }
    std::vector<double> slopes;
    for (std::size_t b = 0; b < chosen.front()->draws.size(); ++b) {
      std::vector<double> drawn;
      for (const PriceRow* row : chosen) drawn.push_back(row->draws[b]);
      slopes.push_back(slope_of(log_n, drawn));
    }
    sizes.slope = amount_of(std::move(slopes), options.level);
    sizes.slope.value = slope_of(log_n, log_m);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      for (std::size_t j = i + 1; j < chosen.size(); ++j) {
        std::vector<double> difference = chosen[j]->draws;
        for (std::size_t b = 0; b < difference.size(); ++b) difference[b] -= chosen[i]->draws[b];
        sizes.agree =
            sizes.agree && surely_near_zero(amount_of(std::move(difference), options.level));
      }
    all.push_back(std::move(sizes));
  }
  return all;
}

std::vector<Crossing> crossings(std::span<const Priced> rows, const PriceOptions& options) {
  std::map<std::tuple<std::string, std::string, double>, std::vector<const PriceRow*>> groups;
  for (const Priced& priced : rows)
    if (priced.row.kind == RemedyKind::filter && resolved(priced.row))
      groups[{priced.row.size, priced.row.arm, priced.row.baseline.unique.value}].push_back(
          &priced.row);
  std::vector<Crossing> all;
  for (auto& [key, group] : groups) {
    if (group.size() < 3) continue;
    std::sort(group.begin(), group.end(), [](const PriceRow* a, const PriceRow* b) {
      return a->baseline.tokens < b->baseline.tokens;
    });
    Crossing crossing{.arm = group.front()->arm, .size = group.front()->size};
    for (const PriceRow* row : group) {
      crossing.tokens.push_back(row->baseline.tokens.value);
      crossing.multipliers.push_back(row->effective.multiplier);
    }
    if (const auto until = pays_as_measured(group).until) {
      crossing.crossing = crossing_of_draws(group, options.level);
      crossing.crossing->value = *until * group.front()->baseline.unique.value;
    }
    all.push_back(std::move(crossing));
  }
  return all;
}

}  // namespace ration::plan
