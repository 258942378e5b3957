#include "fit/mixed_units.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"

namespace ration::fit {
namespace {

using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

const double kApart = -std::log(std::log(2.0));  // of ln L between bits and nats
constexpr double kFar = 0.12;                    // more than seeds of one recipe differ by
constexpr double kMostEpochs = 16;               // beyond, overfitting moves losses as far

// Powers of ln N, ln D and ln(D/U), each scaled to a mean of 0 and a deviation of 1: first the
// constant and the linear ones, then, where there are enough runs, the quadratic ones.
Matrix basis_of(std::span<const Observation> runs) {
  constexpr Index kVariables = 3, kLinear = 1 + kVariables, kAll = kLinear + 6;
  constexpr Index kRunsForAll = 3 * kAll;
  const auto n = static_cast<Index>(runs.size());
  Matrix x(n, kVariables);
  for (Index i = 0; i < n; ++i) {
    const Observation& run = runs[static_cast<std::size_t>(i)];
    x.row(i) << std::log(run.params.value), std::log(run.tokens.value),
        std::log(run.tokens / run.unique);
  }
  x.rowwise() -= x.colwise().mean().eval();
  for (Index j = 0; j < kVariables; ++j)
    if (const double norm = x.col(j).norm(); norm > 0)
      x.col(j) *= std::sqrt(static_cast<double>(n)) / norm;
  Matrix basis(n, n < kRunsForAll ? kLinear : kAll);
  basis.col(0).setOnes();
  basis.middleCols(1, kVariables) = x;
  for (Index j = 0, column = kLinear; basis.cols() == kAll && j < kVariables; ++j)
    for (Index k = j; k < kVariables; ++k) basis.col(column++) = x.col(j).cwiseProduct(x.col(k));
  return basis;
}

// Residuals of y about the combination of the basis with the least absolute ones, about.
Vector residuals_about(const Matrix& basis, const Vector& y, int rounds) {
  constexpr double kKnee = 0.02, kRidge = 1e-9;
  Vector r = y;
  Vector weights = Vector::Ones(y.size());
  for (int k = 0; k < rounds; ++k) {
    const Matrix weighted = weights.asDiagonal() * basis;
    Matrix normal = basis.transpose() * weighted;
    normal.diagonal().array() += kRidge * static_cast<double>(y.size());
    r = y - basis * normal.ldlt().solve(weighted.transpose() * y);
    weights = r.cwiseAbs().cwiseMax(kKnee).cwiseInverse();
  }
  return r;
}

struct Split {
  Vector upper;           // 1 for runs that lie kApart above the others, else 0
  double off = HUGE_VAL;  // sum of the absolute residuals that this leaves
};

// Gives each run to the nearer of two parallel surfaces, and moves them to their runs, in turn.
Split refined(const Matrix& basis, const Vector& y, Vector upper) {
  constexpr int kTurns = 8, kRounds = 3;
  for (int turn = 0;; ++turn) {
    const Vector r = residuals_about(basis, y - kApart * upper, kRounds);
    Vector next = ((r + kApart * upper).array() > kApart / 2).cast<double>();
    if (next == upper || turn == kTurns) return {std::move(upper), r.cwiseAbs().sum()};
    upper = std::move(next);
  }
}

// Which of the runs lie above the others: from nothing, from the upper half of the residuals, and
// from surfaces through a few runs, of which some are all of one unit.
Vector split_of(const Matrix& basis, const Vector& y) {
  constexpr int kTries = 40, kRounds = 10;
  constexpr std::size_t kFew = 5;
  Split best = refined(basis, y, Vector::Zero(y.size()));
  const auto consider = [&](Vector upper) {
    Split split = refined(basis, y, std::move(upper));
    constexpr double kBetter = 0.999;
    if (split.off < kBetter * best.off) best = std::move(split);
  };
  consider((residuals_about(basis, y, kRounds).array() > 0).cast<double>());
  Stream stream(0, StreamId::starts);
  for (int k = 0; k < kTries; ++k) {
    std::set<Index> few;
    while (few.size() < std::min(kFew, static_cast<std::size_t>(y.size())))
      few.insert(static_cast<Index>(stream.below(static_cast<std::uint64_t>(y.size()))));
    const std::vector<Index> rows(few.begin(), few.end());
    const Matrix linear = basis.leftCols(4);
    const Vector at = linear(rows, Eigen::all).colPivHouseholderQr().solve(y(rows));
    consider(((y - linear * at).array() > kApart / 2).cast<double>());
  }
  return best.upper;
}

const Law& law_for(std::span<const Observation> runs) {
  const bool repeats = std::any_of(
      runs.begin(), runs.end(), [](const Observation& run) { return run.tokens > run.unique; });
  return *find_law(repeats ? "data-constrained" : "chinchilla");
}

// ln of observed over predicted by a law of the runs; empty where there is none.
std::vector<double> residuals_about_law(std::span<const Observation> runs) {
  const std::string law(law_for(runs).name());
  const Result<Fit> fit = fit_law(runs, {.law = law, .resamples = 0, .profile_points = 0});
  if (!fit) return {};
  Points points;
  for (const Observation& run : runs) points.add(run.params, run.tokens, run.unique);
  std::vector<double> residuals(runs.size());
  fit->law->evaluate(fit->coordinates(), points, residuals, {});
  for (std::size_t i = 0; i < runs.size(); ++i)
    residuals[i] = std::log(runs[i].loss.value) - residuals[i];
  return residuals;
}

struct Converted {
  std::vector<Observation> runs;  // the upper ones taken as bits
  std::vector<double> residuals;  // of the law of these
};

// The same in turn with a law in place of the surfaces, which knows how losses fall and level out.
Converted refined_by_law(std::span<const Observation> runs, Vector& upper) {
  constexpr int kTurns = 4;
  for (int turn = 0;; ++turn) {
    Converted converted{{runs.begin(), runs.end()}, {}};
    for (std::size_t i = 0; i < runs.size(); ++i)
      if (upper[static_cast<Index>(i)] > 0)
        converted.runs[i].loss = Loss(runs[i].loss.value * std::log(2.0));
    converted.residuals = residuals_about_law(converted.runs);
    if (converted.residuals.empty() || turn == kTurns) return converted;
    Vector next = upper;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto place = static_cast<Index>(i);
      next[place] = converted.residuals[i] + kApart * upper[place] > kApart / 2 ? 1 : 0;
    }
    if (next == upper) return converted;
    upper = std::move(next);
  }
}

// The run nearest to one, by the sum of ratios of their counts, among those that are not `chosen`.
std::size_t nearest(std::span<const Observation> runs,
                    std::size_t i,
                    const std::set<std::size_t>& chosen) {
  const auto apart = [](double a, double b) { return std::abs(std::log(a / b)); };
  std::size_t best = i;
  double least = HUGE_VAL;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    if (k == i || chosen.contains(k)) continue;
    const double distance = apart(runs[k].params.value, runs[i].params.value) +
                            apart(runs[k].tokens.value, runs[i].tokens.value) +
                            apart(runs[k].unique.value, runs[i].unique.value);
    if (distance < least) least = distance, best = k;
  }
  return best;
}

// Whether one law is right for all runs, of which those at `places` were converted: three in four
// of these lie no further from it than nine in ten of the others do, or four times what half of
// those do; and not where the law is wrong for their neighbours.
bool one_law_holds(const Converted& converted, const std::vector<std::size_t>& places) {
  if (converted.residuals.empty()) return false;
  std::vector<double> distances;
  for (const double r : converted.residuals) distances.push_back(std::abs(r));
  const std::set<std::size_t> chosen(places.begin(), places.end());
  std::vector<double> of_chosen, of_others;
  for (std::size_t i = 0; i < distances.size(); ++i)
    (chosen.contains(i) ? of_chosen : of_others).push_back(distances[i]);
  const auto at_share = [](std::vector<double>& values, double share) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size()))];
  };
  constexpr double kHalf = 0.5, kMost = 0.75, kNearly = 0.9, kTimes = 4, kLeast = 0.01;
  const double allowed = std::clamp(
      std::max(kTimes * at_share(of_others, kHalf), at_share(of_others, kNearly)), kLeast, kFar);
  const bool lonely = std::all_of(places.begin(), places.end(), [&](std::size_t i) {
    return distances[nearest(converted.runs, i, chosen)] > kFar;
  });
  return at_share(of_chosen, kMost) <= allowed && !lonely;
}

MixedUnits find_among(std::span<const Observation> runs) {
  const auto n = static_cast<Index>(runs.size());
  Vector y(n);
  for (Index i = 0; i < n; ++i) y[i] = std::log(runs[static_cast<std::size_t>(i)].loss.value);
  const Matrix basis = basis_of(runs);
  constexpr int kRounds = 10;
  constexpr std::size_t kRunsEach = 4;  // parameter; a law bends to anything where there are fewer
  if (runs.size() < kRunsEach * law_for(runs).size() ||
      residuals_about(basis, y, kRounds).cwiseAbs().maxCoeff() < kFar)
    return {};
  Vector upper = split_of(basis, y);
  const Converted converted = refined_by_law(runs, upper);
  MixedUnits mixed{.places = {}, .bits = 2 * upper.sum() <= static_cast<double>(n)};
  for (std::size_t i = 0; i < runs.size(); ++i)
    if ((upper[static_cast<Index>(i)] > 0) == mixed.bits) mixed.places.push_back(i);
  if (mixed.places.empty() || !one_law_holds(converted, mixed.places)) return {};
  return mixed;
}

}  // namespace

MixedUnits find_mixed_units(std::span<const Observation> runs) {
  std::vector<Observation> seen;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (runs[i].tokens / runs[i].unique <= kMostEpochs)
      seen.push_back(runs[i]), places.push_back(i);
  MixedUnits mixed = find_among(seen);
  for (std::size_t& place : mixed.places) place = places[place];
  return mixed;
}

}  // namespace ration::fit
