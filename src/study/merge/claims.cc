#include "study/merge/claims.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace ration::study {
namespace {

// Values of some cells, with what they are resampled by. A merged model counts once however many
// corpora it has.
struct Rows {
  std::vector<double> size, value, weight;
  std::vector<std::vector<std::size_t>> factors = {{}, {}};  // corpus, replica
  std::set<std::pair<std::size_t, std::size_t>> merges;
  std::int64_t unusable = 0;

  void add(const MergeOutcome& outcome, std::size_t i, double of) {
    const MergeCell& cell = outcome.cells[i];
    if (!std::isfinite(of)) {
      ++unusable;
      return;
    }
    const auto corpora = static_cast<double>(outcome.subsets[cell.subset].size);
    size.push_back(corpora);
    value.push_back(of);
    weight.push_back(1 / corpora);
    factors[0].push_back(cell.corpus);
    factors[1].push_back(cell.replica);
    merges.emplace(cell.subset, cell.replica);
  }

  std::vector<double> times(std::span<const double> weights) const {
    std::vector<double> product(weights.begin(), weights.end());
    for (std::size_t i = 0; i < product.size(); ++i) product[i] *= weight[i];
    return product;
  }

  Estimate mean(const Bootstrap& how) const {
    return crossed_bootstrap(
        factors, [&](auto weights) { return weighted_mean(value, times(weights)); }, how);
  }
  Estimate slope_in_size(const Bootstrap& how) const {
    return crossed_bootstrap(
        factors, [&](auto weights) { return slope(size, value, times(weights)); }, how);
  }
};

Bootstrap bootstrap_of(const MergeTable& table) {
  return {.draws = table.draws, .level = 0.95, .seed = table.seed};
}

MergeSummary summary_of(const MergeTable& table,
                        const MergeOutcome& outcome,
                        const MergeArm& arm,
                        std::size_t size_index) {
  const std::int64_t size = outcome.sizes[size_index];
  const Json& members = arm.members.size() == 1 ? arm.members[0] : arm.members[size_index];
  Rows rows, losses;
  for (std::size_t i = 0; i < outcome.cells.size(); ++i) {
    if (outcome.subsets[outcome.cells[i].subset].size != size) continue;
    rows.add(outcome, i, arm.recovered[i]);
    losses.add(outcome, i, arm.losses[i].loss);
  }
  return {.label = arm.label,
          .variant = arm.variant,
          .size = size,
          .members = text_of_members(members),
          .loss = weighted_mean(losses.value, losses.weight),
          .recovered = rows.mean(bootstrap_of(table)),
          .merges = static_cast<std::int64_t>(rows.merges.size()),
          .unusable = rows.unusable};
}

}  // namespace

std::vector<MergeSummary> merge_summaries(const MergeTable& table, const MergeOutcome& outcome) {
  std::vector<MergeSummary> summaries;
  for (const MergeArm& arm : outcome.arms)
    for (std::size_t size = 0; size < outcome.sizes.size(); ++size) {
      MergeSummary summary = summary_of(table, outcome, arm, size);
      // Of other corpora there is no ceiling; a method without usable losses is still told.
      if (summary.merges > 0 || arm.label != "multitask") summaries.push_back(std::move(summary));
    }
  return summaries;
}

std::vector<MergeClaim> merge_claims(const MergeTable& table, const MergeOutcome& outcome) {
  std::vector<MergeClaim> claims;
  for (const std::string variant : {"chosen", "untuned"}) {
    std::vector<MergeClaim> family;
    for (const MergeMethod& method : table.methods)
      for (const std::string& other : table.against) {
        const MergeArm* ours = outcome.arm(method.label, variant);
        const MergeArm* theirs = outcome.arm(other, variant);
        const bool is_other = std::find(table.against.begin(), table.against.end(), method.label) !=
                              table.against.end();
        if (is_other || ours == nullptr || theirs == nullptr) continue;
        Rows rows;
        for (std::size_t i = 0; i < outcome.cells.size(); ++i)
          rows.add(outcome, i, ours->recovered[i] - theirs->recovered[i]);
        const Bootstrap how = bootstrap_of(table);
        family.push_back({variant, "mean", method.label, other, rows.mean(how)});
        if (outcome.sizes.size() > 1)
          family.push_back({variant, "slope", method.label, other, rows.slope_in_size(how)});
      }
    std::vector<double> p;
    for (const MergeClaim& claim : family) p.push_back(claim.difference.p);
    const std::vector<double> adjusted = holm(p);
    for (std::size_t i = 0; i < family.size(); ++i) family[i].holm = adjusted[i];
    claims.insert(claims.end(), family.begin(), family.end());
  }
  return claims;
}

}  // namespace ration::study
