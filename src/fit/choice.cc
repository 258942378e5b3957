#include "fit/choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "base/parallel.h"
#include "fit/observations.h"

namespace ration::fit {
namespace {

struct Fold {
  std::string axis;
  std::vector<Observation> train, test;
};

// Places in a list of runs.
using Group = std::vector<std::size_t>;

double compute_of(const Observation& run) { return run.params.value * run.tokens.value; }
double epochs_of(const Observation& run) { return run.tokens / run.unique; }
double crowding_of(const Observation& run) { return run.params.value / run.unique.value; }

// Rolling origin along an axis: fitted below a cut, scored up to the next one.
template <class Get>
void add_rolling(std::span<const Observation> runs,
                 const std::string& axis,
                 const Get& get,
                 std::vector<Fold>& folds) {
  std::vector<double> sorted;
  for (const Observation& run : runs) sorted.push_back(get(run));
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  const std::array<double, 4> cuts = {at(0.55), at(0.7), at(0.85), HUGE_VAL};
  for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
    Fold fold{axis, {}, {}};
    for (const Observation& run : runs)
      if (get(run) <= cuts[k])
        fold.train.push_back(run);
      else if (get(run) <= cuts[k + 1])
        fold.test.push_back(run);
    if (!fold.test.empty()) folds.push_back(std::move(fold));
  }
}

// Fifths of the runs by compute, each left out once; runs of equal compute stay together.
void add_levels(std::span<const Observation> runs, std::vector<Fold>& folds) {
  std::vector<double> sorted;
  for (const Observation& run : runs) sorted.push_back(compute_of(run));
  std::sort(sorted.begin(), sorted.end());
  constexpr std::size_t kLevels = 5;
  double below = -HUGE_VAL;
  for (std::size_t k = 1; k <= kLevels; ++k) {
    const double upto = sorted[k * sorted.size() / kLevels - 1];
    Fold fold{"level", {}, {}};
    for (const Observation& run : runs)
      (compute_of(run) > below && compute_of(run) <= upto ? fold.test : fold.train).push_back(run);
    below = upto;
    if (!fold.test.empty() && !fold.train.empty()) folds.push_back(std::move(fold));
  }
}

std::vector<Fold> all_folds(std::span<const Observation> runs, bool repeats) {
  std::vector<Fold> folds;
  add_rolling(runs, "compute", compute_of, folds);
  if (repeats) {
    add_rolling(runs, "epochs", epochs_of, folds);
    add_rolling(runs, "N/U", crowding_of, folds);
  }
  add_levels(runs, folds);
  return folds;
}

struct Runs {
  Points points;
  std::vector<double> log_loss, weights;
};

Runs columns_of(std::span<const Observation> runs) {
  Runs columns{.weights = weights_of(runs)};
  for (const Observation& run : runs) {
    columns.points.add(run.params, run.tokens, run.unique);
    columns.log_loss.push_back(std::log(run.loss.value));
  }
  return columns;
}

std::vector<double> log_losses(const Law& law, const Coordinates& x, const Points& points) {
  std::vector<double> values(points.size());
  law.evaluate(x, points, values, {});
  return values;
}

// Runs among which a plan would have chosen: at one compute, and either all on fresh tokens or with
// one number of unique ones; of at least three sizes.
std::vector<Group> rivals(std::span<const Observation> runs) {
  constexpr double kSameCompute = 1.03;  // counts of runs are rounded
  constexpr double kSameUnique = 1.001;
  constexpr std::size_t kLeastSizes = 3;
  const auto unique_of = [](const Observation& run) {
    return run.tokens > run.unique ? run.unique.value : HUGE_VAL;
  };
  Group order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return compute_of(runs[a]) < compute_of(runs[b]);
  });
  std::vector<Group> groups;
  std::vector<bool> taken(runs.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (taken[k]) continue;
    const Observation& first = runs[order[k]];
    Group group;
    std::set<double> sizes;
    for (std::size_t m = k; m < order.size(); ++m) {
      const Observation& run = runs[order[m]];
      if (compute_of(run) > kSameCompute * compute_of(first)) break;
      const double low = std::min(unique_of(run), unique_of(first));
      const double high = std::max(unique_of(run), unique_of(first));
      if (taken[m] || high > kSameUnique * low) continue;
      taken[m] = true;
      group.push_back(order[m]);
      sizes.insert(run.params.value);
    }
    if (sizes.size() >= kLeastSizes) groups.push_back(std::move(group));
  }
  return groups;
}

void add_regrets(const std::vector<double>& predicted, const Fold& fold, Extrapolation& sum) {
  for (const Group& group : rivals(fold.test)) {
    const std::size_t picked =
        *std::min_element(group.begin(), group.end(), [&](std::size_t a, std::size_t b) {
          return predicted[a] < predicted[b];
        });
    double least = HUGE_VAL;
    for (const std::size_t i : group) least = std::min(least, fold.test[i].loss.value);
    sum.regret += fold.test[picked].loss.value - least;
    ++sum.choices;
  }
}

void add_errors(const Candidate& candidate,
                const Options& options,
                const Fold& fold,
                Extrapolation& sum) {
  const Result<Fit> fit = fit_law(fold.train, options);
  if (!fit) return;
  const Runs test = columns_of(fold.test);
  const std::vector<double> predicted = log_losses(*candidate.law, fit->coordinates(), test.points);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const double r = predicted[i] - test.log_loss[i];
    sum.mean_error += std::abs(r);
    sum.bias += r;
    ++sum.runs;
  }
  add_regrets(predicted, fold, sum);
}

// One entry an axis, in the order of the folds.
std::vector<Extrapolation> extrapolate(const Candidate& candidate,
                                       const Runs& runs,
                                       const Options& options,
                                       const std::vector<Fold>& folds) {
  // A fold has most of the runs: the minimum of all of them, and a few of its law's starts on them.
  constexpr std::size_t kStarts = 10;
  Options quick = options;
  quick.law = std::string(candidate.law->name());
  quick.threads = 1;
  const std::vector<Coordinates> spread = candidate.law->starts(runs.points, runs.log_loss);
  quick.start_from = {candidate.x};
  for (std::size_t k = 0; k < kStarts; ++k)
    quick.start_from.push_back(spread[k * spread.size() / kStarts]);
  std::vector<Extrapolation> all;
  for (const Fold& fold : folds) {
    if (all.empty() || all.back().axis != fold.axis) all.push_back({.axis = fold.axis});
    add_errors(candidate, quick, fold, all.back());
  }
  for (Extrapolation& e : all) {
    if (e.choices > 0) e.regret /= e.choices;
    if (e.runs == 0) continue;
    e.mean_error /= e.runs;
    e.bias /= e.runs;
  }
  return all;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

void measure_distances(const Points& region, std::vector<Candidate>& candidates) {
  std::vector<std::vector<double>> predicted;
  for (const Candidate& c : candidates) predicted.push_back(log_losses(*c.law, c.x, region));
  std::vector<double> here(candidates.size());
  for (std::size_t i = 0; i < region.size(); ++i) {
    for (std::size_t c = 0; c < candidates.size(); ++c) here[c] = predicted[c][i];
    const double middle = median(here);
    for (std::size_t c = 0; c < candidates.size(); ++c)
      candidates[c].distance += std::abs(here[c] - middle) / static_cast<double>(region.size());
  }
}

void add_information(const Runs& runs, Candidate& candidate) {
  const std::vector<double> predicted = log_losses(*candidate.law, candidate.x, runs.points);
  double sum = 0, n = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    sum += runs.weights[i] * std::abs(predicted[i] - runs.log_loss[i]);
    n += runs.weights[i];
  }
  const auto p = static_cast<double>(candidate.law->size());
  candidate.aic = 2 * n * std::log(sum / n) + 2 * p;
  candidate.bic = 2 * n * std::log(sum / n) + p * std::log(n);
}

// The chosen law is left to the caller, who fits it with everything.
void add_draws(std::span<const Observation> runs,
               const Options& options,
               std::vector<Candidate>& candidates) {
  constexpr int kDraws = 50;  // a part of a mixture needs fewer than a law that stands alone
  for (std::size_t c = 1; c < candidates.size(); ++c) {
    Candidate& candidate = candidates[c];
    Options again = options;
    again.law = std::string(candidate.law->name());
    again.fixed.clear();
    again.starts = Starts::spread;
    again.resamples = std::min(options.resamples, kDraws);
    again.profile_points = 0;
    again.start_from.clear();
    for (const NearMinimum& minimum : candidate.minima) {
      Coordinates x;
      for (std::size_t j = 0; j < minimum.values.size(); ++j)
        x.push_back(candidate.law->parameters()[j].coordinate(minimum.values[j]));
      again.start_from.push_back(std::move(x));
    }
    if (Result<Fit> fit = fit_law(runs, again)) candidate.draws = std::move(fit->draws);
  }
}

// Whether a law says the same as one that is known: another parametrisation, which must not count
// twice.
bool restates(const Candidate& law, const std::vector<Candidate>& known, const Points& region) {
  constexpr double kSame = 1e-5;
  const std::vector<double> mine = log_losses(*law.law, law.x, region);
  return std::any_of(known.begin(), known.end(), [&](const Candidate& other) {
    const std::vector<double> theirs = log_losses(*other.law, other.x, region);
    for (std::size_t i = 0; i < mine.size(); ++i)
      if (!(std::abs(mine[i] - theirs[i]) < kSame)) return false;
    return law.law->size() >= other.law->size();
  });
}

}  // namespace

Points beyond(std::span<const Observation> runs) {
  Points region;
  for (const Observation& run : canonical(runs)) {
    for (const double compute : {3.0, 10.0}) {
      const double each = std::sqrt(compute);
      region.add(run.params * each, run.tokens * each, run.unique * each);
    }
    for (const double more : {2.0, 4.0}) region.add(run.params, run.tokens * more, run.unique);
  }
  return region;
}

Result<Choice> choose_law(std::span<const Observation> rows,
                          const Options& options,
                          const Points& region) {
  const std::vector<Observation> runs = canonical(rows);
  Options quick = options;
  quick.resamples = 0;
  quick.profile_points = 0;
  quick.fixed.clear();
  quick.starts = Starts::spread;
  const bool repeats = std::any_of(
      runs.begin(), runs.end(), [](const Observation& run) { return run.tokens > run.unique; });
  const Runs all = columns_of(runs);
  Choice choice;
  std::optional<Error> first_error;
  for (const Law* law : all_laws()) {
    if (!law->allocates() || (law->describes_repetition() && !repeats)) continue;
    quick.law = std::string(law->name());
    Result<Fit> fit = fit_law(runs, quick);
    if (!fit) {
      if (!first_error) first_error = fit.error();
      continue;
    }
    if (fit->cells <= static_cast<int>(law->size())) continue;
    Candidate candidate{.law = law,
                        .x = fit->coordinates(),
                        .objective = fit->objective,
                        .minima = std::move(fit->minima)};
    add_information(all, candidate);
    if (restates(candidate, choice.candidates, region)) continue;
    choice.candidates.push_back(std::move(candidate));
  }
  if (choice.candidates.empty()) {
    if (first_error) return *first_error;
    return Error{.kind = ErrorKind::untrusted,
                 .what = "no law has fewer parameters than there are settings",
                 .hint = "add runs that differ in parameters, tokens and unique tokens"};
  }
  const std::vector<Fold> folds = all_folds(runs, repeats);
  parallel_for(choice.candidates.size(), options.threads, [&](std::size_t c) {
    choice.candidates[c].extrapolations = extrapolate(choice.candidates[c], all, quick, folds);
  });
  measure_distances(region, choice.candidates);
  std::stable_sort(choice.candidates.begin(),
                   choice.candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
  add_draws(runs, options, choice.candidates);
  return choice;
}

}  // namespace ration::fit
