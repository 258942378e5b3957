#include "fit/average.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ration::fit {
namespace {

// The minima of one law with weights that add up to `weight`.
void add_modes(const Law& law,
               const std::vector<NearMinimum>& minima,
               int runs,
               double weight,
               std::vector<Mode>& modes) {
  constexpr double kCredible = 1e-3;
  const auto share = [&](const NearMinimum& minimum) {
    return std::pow(minimum.objective / minima.front().objective, -runs);
  };
  double sum = 0;
  for (const NearMinimum& minimum : minima)
    if (share(minimum) >= kCredible) sum += share(minimum);
  for (const NearMinimum& minimum : minima) {
    if (share(minimum) < kCredible) continue;
    Mode mode{.law = &law, .weight = weight * share(minimum) / sum};
    for (std::size_t j = 0; j < law.size(); ++j)
      mode.x.push_back(law.parameters()[j].coordinate(minimum.values[j]));
    modes.push_back(std::move(mode));
  }
}

void add_draws(const Law& law,
               const std::vector<Coordinates>& draws,
               double weight,
               std::vector<Mode>& all) {
  for (const Coordinates& draw : draws)
    all.push_back({&law, draw, weight / static_cast<double>(draws.size())});
}

double credence(double distance) {
  constexpr double kSame = 1e-3;  // of ln L
  return 1 / std::sqrt(std::max(distance, kSame));
}

}  // namespace

bool within_reach(const Candidate& candidate, const Candidate& chosen) {
  constexpr double kReach = 2;
  return candidate.distance <= kReach * chosen.distance;
}

Average average_of(const Fit& fit) {
  // The fit itself knows more of its law than the first candidate does.
  std::vector<Candidate> laws = fit.candidates;
  if (laws.empty()) laws.emplace_back();
  laws.front() = {.law = fit.law,
                  .x = fit.coordinates(),
                  .objective = fit.objective,
                  .distance = laws.front().distance,
                  .minima = fit.minima,
                  .draws = fit.draws};
  double sum = 0;
  for (const Candidate& law : laws) sum += credence(law.distance);
  Average average;
  for (const Candidate& law : laws) {
    const double weight = credence(law.distance) / sum;
    if (law.minima.empty() || !(law.objective > 0))
      average.modes.push_back({law.law, law.x, weight});
    else
      add_modes(*law.law, law.minima, fit.runs, weight, average.modes);
    if (fit.draws.empty()) continue;
    // A law without draws of its own is known by its best minimum alone.
    add_draws(*law.law,
              law.draws.empty() ? std::vector<Coordinates>{law.x} : law.draws,
              weight,
              average.draws);
  }
  return average;
}

std::vector<Prediction> predict(const Average& average, const Points& points, double interval) {
  std::vector<double> log_loss(points.size()), sum(points.size());
  for (const Mode& mode : average.modes) {
    mode.law->evaluate(mode.x, points, log_loss, {});
    for (std::size_t i = 0; i < points.size(); ++i) sum[i] += mode.weight * log_loss[i];
  }
  std::vector<Prediction> predictions(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) predictions[i].value = std::exp(sum[i]);
  if (average.draws.empty()) return predictions;

  std::vector<double> weights;
  std::vector<std::vector<double>> drawn(points.size());
  for (const Mode& draw : average.draws) {
    weights.push_back(draw.weight);
    draw.law->evaluate(draw.x, points, log_loss, {});
    for (std::size_t i = 0; i < points.size(); ++i) drawn[i].push_back(std::exp(log_loss[i]));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Span ends = weighted_interval(drawn[i], weights, interval);
    predictions[i].low = ends.low;
    predictions[i].high = ends.high;
  }
  return predictions;
}

Span weighted_interval(std::span<const double> values,
                       std::span<const double> weights,
                       double interval) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] < values[b];
  });
  // Each value stands in the middle of its weight; the first at 0 and the last at 1, so that equal
  // weights give the percentiles of percentile_interval().
  std::vector<double> places;
  double before = 0;
  for (const std::size_t i : order) {
    places.push_back(before + weights[i] / 2);
    before += weights[i];
  }
  const double first = places.front(), length = places.back() - first;
  const auto at = [&](double share) {
    const double place = first + share * length;
    const auto above = std::lower_bound(places.begin(), places.end(), place);
    if (above == places.begin()) return values[order.front()];
    if (above == places.end()) return values[order.back()];
    const auto k = static_cast<std::size_t>(above - places.begin());
    const double part = (place - places[k - 1]) / (places[k] - places[k - 1]);
    return std::lerp(values[order[k - 1]], values[order[k]], part);
  };
  return {at((1 - interval) / 2), at((1 + interval) / 2)};
}

}  // namespace ration::fit
