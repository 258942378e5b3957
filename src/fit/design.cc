#include "fit/design.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>

namespace ration::fit {
namespace {

using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

struct Linear {
  Vector log_loss;
  Matrix slopes;  // one row a point
};

Linear linearise(const Mode& mode, const Points& points) {
  const auto n = static_cast<Index>(points.size());
  Linear result{Vector(n), Matrix(n, static_cast<Index>(mode.law->size()))};
  if (n == 0) return result;
  mode.law->evaluate(mode.x,
                     points,
                     {result.log_loss.data(), points.size()},
                     {result.slopes.data(), static_cast<std::size_t>(result.slopes.size())});
  return result;
}

Matrix prior_information(const Law& law) {
  Vector precision(static_cast<Index>(law.size()));
  for (std::size_t j = 0; j < law.size(); ++j) {
    const double deviation = law.parameters()[j].scale == Scale::log ? 3 : 0.3;
    precision[static_cast<Index>(j)] = 1 / (deviation * deviation);
  }
  return precision.asDiagonal();
}

// One mode with its covariance and what follows from it for candidates and targets.
class Believer {
 public:
  Believer(const Mode& mode,
           const Points& runs,
           std::span<const double> run_weights,
           double noise,
           const Points& candidates,
           std::span<const double> candidate_weights,
           const Points& targets)
      : weight(mode.weight),
        variances_(static_cast<Index>(candidates.size())),
        candidates_(linearise(mode, candidates)),
        targets_(linearise(mode, targets)) {
    for (Index c = 0; c < variances_.size(); ++c)
      variances_[c] = noise * noise / candidate_weights[static_cast<std::size_t>(c)];
    const Linear seen = linearise(mode, runs);
    Matrix information = prior_information(*mode.law);
    for (Index i = 0; i < seen.slopes.rows(); ++i)
      information += run_weights[static_cast<std::size_t>(i)] / (noise * noise) *
                     seen.slopes.row(i).transpose() * seen.slopes.row(i);
    covariance_ =
        information.ldlt().solve(Matrix::Identity(information.rows(), information.cols()));
    if (!mode.decision.empty())
      decision_ =
          Eigen::Map<const Vector>(mode.decision.data(), static_cast<Index>(mode.decision.size()));
    follow();
  }

  const Vector& outcomes() const { return candidates_.log_loss; }     // m of each candidate
  double spread(Index c) const { return variances_[c] + reach_[c]; }  // variance of its outcome
  auto pulls(Index c) const { return pulls_.row(c); }                 // g_t' S g for each target
  const Vector& predictions() const { return targets_.log_loss; }     // f

  double prediction_gain(Index c) const {
    return pulls_.row(c).squaredNorm() / static_cast<double>(pulls_.cols()) / spread(c);
  }
  double decision_gain(Index c) const {
    const double pull = candidates_.slopes.row(c).dot(covariance_ * decision_);
    return pull * pull / spread(c);
  }
  double determinant_gain(Index c) const { return std::log1p(reach_[c] / variances_[c]); }

  double target_variance() const {
    return (targets_.slopes * covariance_).cwiseProduct(targets_.slopes).rowwise().sum().mean();
  }

  void learn(Index c) {
    const Vector direction = covariance_ * candidates_.slopes.row(c).transpose();
    covariance_ -= direction * direction.transpose() / spread(c);
    follow();
  }

  double weight = 1;

 private:
  void follow() {
    const Matrix spread = candidates_.slopes * covariance_;
    reach_ = spread.cwiseProduct(candidates_.slopes).rowwise().sum();
    pulls_ = spread * targets_.slopes.transpose();
  }

  Vector variances_;  // of one run of each candidate
  Linear candidates_, targets_;
  Matrix covariance_;
  Matrix pulls_;  // candidates x targets
  Vector reach_;  // g' S g of each candidate
  Vector decision_;
};

double disagreement(const std::vector<Believer>& modes) {
  double sum = 0;
  for (std::size_t k = 0; k < modes.size(); ++k)
    for (std::size_t l = k + 1; l < modes.size(); ++l)
      sum += modes[k].weight * modes[l].weight *
             (modes[k].predictions() - modes[l].predictions()).squaredNorm() /
             static_cast<double>(modes[k].predictions().size());
  return sum;
}

// Inner products over the targets from which the disagreement after any outcome follows.
struct Pair {
  double difference = 0;          // |f_k - f_l|^2
  double with_k = 0, with_l = 0;  // (f_k - f_l)' K_k, (f_k - f_l)' K_l
  double kk = 0, ll = 0, kl = 0;  // of the updates K
};

// E[disagreement after the candidate's outcome], by three-point Gauss-Hermite quadrature for each
// normal of the mixture.
double expected_disagreement(const std::vector<Believer>& modes, Index c) {
  const std::size_t count = modes.size();
  const auto targets = static_cast<double>(modes[0].predictions().size());
  std::vector<Pair> pairs;
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t l = k + 1; l < count; ++l) {
      const Vector difference = modes[k].predictions() - modes[l].predictions();
      const Vector of_k = modes[k].pulls(c).transpose() / modes[k].spread(c);
      const Vector of_l = modes[l].pulls(c).transpose() / modes[l].spread(c);
      pairs.push_back({difference.squaredNorm(),
                       difference.dot(of_k),
                       difference.dot(of_l),
                       of_k.squaredNorm(),
                       of_l.squaredNorm(),
                       of_k.dot(of_l)});
    }
  constexpr std::array<std::pair<double, double>, 3> kNodes = {
      {{-1.7320508075688772, 1 / 6.0}, {0, 2 / 3.0}, {1.7320508075688772, 1 / 6.0}}};
  double expected = 0;
  std::vector<double> credence(count), surprise(count);
  for (const Believer& source : modes)
    for (const auto& [node, node_weight] : kNodes) {
      const double outcome = source.outcomes()[c] + node * std::sqrt(source.spread(c));
      double most = -HUGE_VAL, total = 0;
      for (std::size_t k = 0; k < count; ++k) {
        surprise[k] = outcome - modes[k].outcomes()[c];
        credence[k] = std::log(modes[k].weight) - std::log(modes[k].spread(c)) / 2 -
                      surprise[k] * surprise[k] / (2 * modes[k].spread(c));
        most = std::max(most, credence[k]);
      }
      for (double& value : credence) total += value = std::exp(value - most);
      double after = 0;
      std::size_t pair = 0;
      for (std::size_t k = 0; k < count; ++k)
        for (std::size_t l = k + 1; l < count; ++l) {
          const Pair& p = pairs[pair++];
          const double a = surprise[k], b = surprise[l];
          const double distance = p.difference + 2 * (a * p.with_k - b * p.with_l) + a * a * p.kk +
                                  b * b * p.ll - 2 * a * b * p.kl;
          after += credence[k] * credence[l] / (total * total) * distance;
        }
      expected += source.weight * node_weight * after / targets;
    }
  return expected;
}

double cost_of(const Points& candidates, std::size_t c) {
  return 6 * std::exp(candidates.log_params[c] + candidates.log_tokens[c]);
}

double own_gain(const std::vector<Believer>& modes, Index c, Gain gain) {
  double sum = 0;
  for (const Believer& mode : modes)
    sum += mode.weight * (gain == Gain::prediction ? mode.prediction_gain(c)
                          : gain == Gain::decision ? mode.decision_gain(c)
                                                   : mode.determinant_gain(c));
  return sum;
}

double expected_error(const std::vector<Believer>& modes) {
  double variance = disagreement(modes);
  for (const Believer& mode : modes) variance += mode.weight * mode.target_variance();
  return std::sqrt(variance);
}

Selection choose_with(std::vector<Believer> believers,
                      const Points& candidates,
                      const Choosing& options,
                      double gamma) {
  Selection selection;
  selection.outlook.error_before = expected_error(believers);
  const bool tell_apart = believers.size() > 1 && options.gain == Gain::prediction;
  std::vector<bool> taken(candidates.size(), false);
  while (static_cast<int>(selection.runs.size()) < options.count) {
    const double before = tell_apart ? disagreement(believers) : 0;
    Chosen best;
    double best_rate = 0;
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const double cost = cost_of(candidates, c);
      if (taken[c] || cost > options.spend - selection.spent) continue;
      const auto index = static_cast<Index>(c);
      const double apart =
          tell_apart ? std::max(0.0, before - expected_disagreement(believers, index)) : 0;
      const double gain = own_gain(believers, index, options.gain) + apart;
      const double rate = gain / std::pow(cost, gamma);
      if (rate > best_rate) {
        best_rate = rate;
        best = {c, gain, apart, cost};
      }
    }
    if (!(best_rate > 0)) break;
    for (Believer& mode : believers) mode.learn(static_cast<Index>(best.candidate));
    taken[best.candidate] = !options.again;
    selection.spent += best.cost;
    selection.runs.push_back(best);
  }
  selection.outlook.error_after = expected_error(believers);
  return selection;
}

}  // namespace

Selection choose_runs(const std::vector<Mode>& modes,
                      const Points& runs,
                      std::span<const double> run_weights,
                      double noise,
                      const Points& candidates,
                      std::span<const double> candidate_weights,
                      const Points& targets,
                      const Choosing& options) {
  std::vector<Believer> believers;
  double total = 0;
  for (const Mode& mode : modes) total += mode.weight;
  for (const Mode& mode : modes) {
    believers.emplace_back(mode, runs, run_weights, noise, candidates, candidate_weights, targets);
    believers.back().weight /= total;
  }
  if (options.gamma) return choose_with(believers, candidates, options, *options.gamma);
  Selection best;
  for (const double gamma : {1.0, 0.75, 0.5, 0.25, 0.0}) {
    Selection selection = choose_with(believers, candidates, options, gamma);
    if (best.runs.empty() || selection.outlook.error_after < best.outlook.error_after)
      best = std::move(selection);
  }
  return best;
}

std::vector<double> relevance(const Points& points, const Points& targets, double focus) {
  const auto axes = [](const Points& p, std::size_t i) {
    return std::array<double, 3>{p.log_params[i] + p.log_tokens[i],
                                 p.log_tokens[i] - p.log_unique[i],
                                 p.log_params[i] - p.log_unique[i]};
  };
  std::array<double, 3> low, high;
  low.fill(HUGE_VAL);
  high.fill(-HUGE_VAL);
  for (std::size_t i = 0; i < targets.size(); ++i)
    for (std::size_t k = 0; k < low.size(); ++k) {
      low[k] = std::min(low[k], axes(targets, i)[k]);
      high[k] = std::max(high[k], axes(targets, i)[k]);
    }
  std::vector<double> weights;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::array<double, 3> place = axes(points, i);
    double distance = 0;
    for (std::size_t k = 0; k < low.size(); ++k)
      distance += std::max({0.0, low[k] - place[k], place[k] - high[k]});
    weights.push_back(std::exp(-distance / focus));
  }
  return weights;
}

std::vector<Mode> modes_of(const Fit& fit) {
  constexpr double kNear = 2;  // times the chosen law's distance
  constexpr double kCredible = 1e-3;
  std::vector<Mode> modes;
  for (const NearMinimum& minimum : fit.minima) {
    Mode mode{.law = fit.law,
              .weight = std::pow(minimum.objective / fit.minima.front().objective, -fit.runs)};
    for (std::size_t j = 0; j < minimum.values.size(); ++j)
      mode.x.push_back(fit.law->parameters()[j].coordinate(minimum.values[j]));
    if (modes.empty() || mode.weight > kCredible) modes.push_back(std::move(mode));
  }
  for (std::size_t c = 1; c < fit.candidates.size(); ++c)
    if (fit.candidates[c].distance <= kNear * fit.candidates.front().distance)
      modes.push_back({fit.candidates[c].law, fit.candidates[c].x, 1});
  return modes;
}

double noise_of(const Fit& fit) {
  std::vector<double> sizes(fit.observed.size());
  if (sizes.empty()) return std::max(fit.residual_rms, 1e-4);
  fit.law->evaluate(fit.coordinates(), fit.observed, sizes, {});
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = std::abs(sizes[i] - fit.observed_log_loss[i]);
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return std::max(1.4826 * *middle, 1e-4);
}

}  // namespace ration::fit
