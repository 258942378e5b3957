#include "plan/remedies/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "plan/remedies/row.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

double epochs_of(const PriceRow& row) { return row.baseline.tokens / row.baseline.unique; }

// ln m, where an infinite draw counts as the bound that was measured.
std::vector<double> bounded_draws(const PriceRow& row) {
  const bool donors = !row.draws_with_donors.empty();
  std::vector<double> draws = donors ? row.draws_with_donors : row.draws;
  for (double& draw : draws)
    if (!std::isfinite(draw))
      draw = std::log(donors ? row.multiplier_with_donors->value : row.effective.multiplier);
  return draws;
}

// m and compute with everything charged that the remedy needs.
Amount charged_multiplier(const PriceRow& row) {
  if (row.multiplier_with_donors) return *row.multiplier_with_donors;
  return {row.effective.multiplier, row.multiplier.low, row.multiplier.high};
}
double charged_compute(const PriceRow& row) {
  return row.compute_with_donors.value_or(row.compute);
}

Combination alone(const PriceRow& row, std::vector<std::string> arms) {
  return {.arms = std::move(arms),
          .multiplier = charged_multiplier(row),
          .compute = charged_compute(row),
          .arm = row.arm,
          .draws = bounded_draws(row)};
}

Combination product_of(const std::vector<const PriceRow*>& rows, double level) {
  Combination product{.multiplier = {1}};
  for (const PriceRow* row : rows) {
    product.arms.push_back(row->arm);
    product.multiplier.value *= charged_multiplier(*row).value;
    product.compute *= charged_compute(*row);
    const std::vector<double> draws = bounded_draws(*row);
    product.draws.resize(draws.size());
    for (std::size_t b = 0; b < draws.size(); ++b) product.draws[b] += draws[b];
  }
  const Amount drawn = amount_of(product.draws, level);
  if (drawn.low && drawn.high) {
    product.multiplier.low = std::exp(*drawn.low);
    product.multiplier.high = std::exp(*drawn.high);
  }
  return product;
}

// Every claimed arm by its nearest row.
std::vector<const PriceRow*> nearest_rows(const PriceList& list, double params, double epochs) {
  std::map<std::string, const PriceRow*> nearest;
  std::vector<std::string> order;
  const auto distance = [&](const PriceRow& row) {
    return std::tuple(std::abs(std::log(row.baseline.params.value / params)),
                      std::abs(std::log(epochs_of(row) / epochs)));
  };
  for (const PriceRow& row : list.rows) {
    const auto [place, is_new] = nearest.emplace(row.arm, &row);
    if (is_new) order.push_back(row.arm);
    if (distance(row) < distance(*place->second)) place->second = &row;
  }
  std::vector<const PriceRow*> rows;
  for (const std::string& arm : order)
    if (nearest[arm]->claimed()) rows.push_back(nearest[arm]);
  return rows;
}

bool pays_at(const PriceRow& row, double epochs) {
  if (!row.pays || !row.pays->by_law) return true;
  return row.pays->anywhere && (!row.pays->from || *row.pays->from <= epochs) &&
         (!row.pays->until || *row.pays->until >= epochs);
}

// Interactions that multiply, by the row's size.
class Measured {
 public:
  explicit Measured(const PriceList& list) {
    for (const Interaction& interaction : list.interactions)
      if (interaction.multiplies)
        sets_[interaction.size].emplace_back(interaction.parts.begin(), interaction.parts.end());
  }

  bool multiply(const PriceRow& a, const PriceRow& b) const {
    const auto sets = sets_.find(a.size);
    if (a.size != b.size || sets == sets_.end()) return false;
    return std::any_of(sets->second.begin(), sets->second.end(), [&](const auto& parts) {
      return parts.contains(a.arm) && parts.contains(b.arm);
    });
  }

 private:
  std::map<std::string, std::vector<std::set<std::string>>> sets_;
};

// Shares of one family replace each other: the best one stands for all.
std::vector<const PriceRow*> one_of_each_family(std::vector<const PriceRow*> singles) {
  std::stable_sort(singles.begin(), singles.end(), [](const PriceRow* a, const PriceRow* b) {
    return charged_multiplier(*a).value > charged_multiplier(*b).value;
  });
  std::set<std::string> families;
  std::erase_if(singles, [&](const PriceRow* row) {
    return row->kind == RemedyKind::mixing && !families.insert(family_of(*row)).second;
  });
  return singles;
}

// Sets of two and more of which each pair multiplies. Sorted `singles` are enough of them.
void add_products(const std::vector<const PriceRow*>& singles,
                  const Measured& measured,
                  double level,
                  std::vector<Combination>& sets) {
  constexpr std::size_t kMost = 10;  // arms, of which 1,024 sets are looked at
  const std::size_t count = std::min(singles.size(), kMost);
  for (std::size_t chosen = 0; chosen < (std::size_t{1} << count); ++chosen) {
    std::vector<const PriceRow*> rows;
    for (std::size_t i = 0; i < count; ++i)
      if (chosen >> i & 1) rows.push_back(singles[i]);
    bool all = rows.size() > 1;
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = i + 1; j < rows.size(); ++j)
        all = all && measured.multiply(*rows[i], *rows[j]);
    if (all) sets.push_back(product_of(rows, level));
  }
}

}  // namespace

Candidates candidates_of(const PriceList& list, double params, double epochs) {
  Candidates found;
  std::vector<const PriceRow*> singles;
  std::map<std::string, std::vector<std::string>> parts;
  for (const Interaction& interaction : list.interactions)
    parts[interaction.arm] = interaction.parts;
  std::set<std::set<std::string>> joined;  // sets that have an arm of their own
  for (const PriceRow* row : nearest_rows(list, params, epochs)) {
    if (!pays_at(*row, epochs)) {
      found.left_out.push_back(
          fmt::format("{} is left out: as measured at {:.3g} epochs, the law says that it does not "
                      "pay at the plan's {:.3g}",
                      row->arm,
                      epochs_of(*row),
                      epochs));
      continue;
    }
    if (!row->claimed_with_donors()) {
      found.left_out.push_back(
          fmt::format("{} is left out: it pays while its donors are free, at {:.3g} times the "
                      "compute its multiplier is {:.3g}",
                      row->arm,
                      charged_compute(*row),
                      charged_multiplier(*row).value));
      continue;
    }
    found.rows.push_back(row);
    const bool combined = row->kind == RemedyKind::combined;
    const std::vector<std::string>& own = parts[row->arm];
    found.sets.push_back(alone(*row, combined && !own.empty() ? own : std::vector{row->arm}));
    if (combined)
      joined.emplace(own.begin(), own.end());
    else
      singles.push_back(row);
  }
  singles = one_of_each_family(std::move(singles));
  std::vector<Combination> products;
  add_products(singles, Measured(list), list.level, products);
  for (Combination& product : products)
    if (!joined.contains({product.arms.begin(), product.arms.end()}))
      found.sets.push_back(std::move(product));
  std::stable_sort(
      found.sets.begin(), found.sets.end(), [](const Combination& a, const Combination& b) {
        return a.multiplier.value > b.multiplier.value;
      });
  if (singles.size() > 1) found.everything = product_of(singles, list.level);
  return found;
}

}  // namespace ration::plan
