#include "fit/design.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/parallel.h"

namespace ration::fit {
namespace {

using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

// Rows of numbers that covary before any run is known: by theta, and by the misfit where they are
// losses.
struct Features {
  Matrix by_theta;  // one row a number; covariances are inner products of rows
  Points places;
  Index losses = 0;  // rows, the first ones, that are losses at places; the rest has no misfit
};

// What one belief says before the design begins, given the runs that are known.
class Outset {
 public:
  Outset(const Belief& belief, const Points& candidates, const Points& targets)
      : belief_(belief),
        outcomes_(belief.predict(candidates)),
        predictions_(belief.predict(targets)) {
    const auto p = static_cast<Index>(belief.law->size());
    const std::vector<double> numbers = prior_precision(*belief.law);
    root_ = Eigen::Map<const Matrix>(numbers.data(), p, p).llt().matrixL();
    const Features seen = losses_at(belief.runs);
    candidates_ = losses_at(candidates);
    Features asked = losses_at(targets);
    if (!belief.decision.empty()) {
      asked.by_theta.conservativeResize(asked.losses + 1, p);
      asked.by_theta.row(asked.losses) =
          whitened(Eigen::Map<const Matrix>(belief.decision.data(), 1, p));
    }
    pulls = covariances(candidates_, asked);
    reach = candidates_.by_theta.rowwise().squaredNorm().array() + squared_misfit();
    variances = asked.by_theta.rowwise().squaredNorm();
    variances.head(asked.losses).array() += squared_misfit();
    if (seen.losses == 0) return;

    Matrix known = covariances(seen, seen);
    for (Index i = 0; i < seen.losses; ++i)
      known(i, i) += noise_variance() / belief.run_weights[static_cast<std::size_t>(i)];
    const Eigen::LLT<Matrix> factor(known);
    explained_ = factor.matrixL().solve(covariances(seen, candidates_));
    const Matrix answers = factor.matrixL().solve(covariances(seen, asked));
    pulls -= explained_.transpose() * answers;
    reach -= explained_.colwise().squaredNorm();
    variances -= answers.colwise().squaredNorm();
  }

  double noise_variance() const { return belief_.noise * belief_.noise; }
  std::span<const double> outcomes() const { return outcomes_; }        // ln L of the candidates
  std::span<const double> predictions() const { return predictions_; }  // of the targets
  bool decides() const { return !belief_.decision.empty(); }

  // Covariance of all candidates with one. Kept, for several designs ask for the same.
  const Vector& column(Index c) {
    Vector& column = columns_[c];
    if (column.size() > 0) return column;
    column = candidates_.by_theta * candidates_.by_theta.row(c).transpose();
    for (Index i = 0; i < column.size(); ++i) column[i] += shared_misfit(i, c);
    if (explained_.size() > 0) column -= explained_.transpose() * explained_.col(c);
    return column;
  }

  Matrix pulls;      // covariances, candidates x (targets, then the decision)
  Vector reach;      // variance of each candidate's loss without its noise
  Vector variances;  // of the targets and the decision

 private:
  double squared_misfit() const { return belief_.misfit.size * belief_.misfit.size; }
  double shared_misfit(Index i, Index c) const {
    return squared_misfit() * std::exp(-distance(candidates_.places,
                                                 static_cast<std::size_t>(i),
                                                 candidates_.places,
                                                 static_cast<std::size_t>(c)) /
                                       belief_.misfit.reach);
  }
  Matrix whitened(const Matrix& slopes) const {
    return root_.triangularView<Eigen::Lower>().solve(slopes.transpose()).transpose();
  }
  Features losses_at(const Points& points) const {
    const auto n = static_cast<Index>(points.size());
    Matrix slopes(n, root_.rows());
    Vector log_loss(n);
    if (n > 0)
      belief_.law->evaluate(belief_.x,
                            points,
                            {log_loss.data(), points.size()},
                            {slopes.data(), static_cast<std::size_t>(slopes.size())});
    return {whitened(slopes), points, n};
  }
  Matrix covariances(const Features& a, const Features& b) const {
    Matrix result = a.by_theta * b.by_theta.transpose();
    for (Index j = 0; j < b.losses; ++j)
      for (Index i = 0; i < a.losses; ++i)
        result(i, j) += squared_misfit() * std::exp(-distance(a.places,
                                                              static_cast<std::size_t>(i),
                                                              b.places,
                                                              static_cast<std::size_t>(j)) /
                                                    belief_.misfit.reach);
    return result;
  }

  const Belief& belief_;
  std::vector<double> outcomes_, predictions_;
  Matrix root_;  // Cholesky factor of the prior's precision
  Features candidates_;
  Matrix explained_;  // runs x candidates: explained_' explained_ is what the runs have explained
  std::map<Index, Vector> columns_;
};

// A belief while candidates are taken.
class Believer {
 public:
  Believer(Outset& outset, double credence)
      : weight(credence),
        outset_(&outset),
        pulls_(outset.pulls),
        reach_(outset.reach),
        variances_(outset.variances),
        targets_(static_cast<Index>(outset.predictions().size())) {}

  double outcome(Index c) const { return outset_->outcomes()[static_cast<std::size_t>(c)]; }
  double spread(Index c) const {  // variance of its outcome
    return outset_->noise_variance() + std::max(reach_[c], 0.0);
  }
  auto pulls(Index c) const { return pulls_.row(c).head(targets_); }
  Eigen::Map<const Vector> predictions() const { return {outset_->predictions().data(), targets_}; }

  double prediction_gain(Index c) const {
    return pulls(c).squaredNorm() / static_cast<double>(targets_) / spread(c);
  }
  double decision_gain(Index c) const {
    return outset_->decides() ? pulls_(c, targets_) * pulls_(c, targets_) / spread(c) : 0;
  }
  double determinant_gain(Index c) const { return std::log(spread(c) / outset_->noise_variance()); }
  double target_variance() const { return variances_.head(targets_).mean(); }

  void learn(Index c) {
    Vector column = outset_->column(c);
    for (const Vector& earlier : learnt_) column -= earlier * earlier[c];
    column /= std::sqrt(spread(c));
    const Vector answer = pulls_.row(c).transpose() / std::sqrt(spread(c));
    pulls_ -= column * answer.transpose();
    reach_ -= column.cwiseAbs2();
    variances_ -= answer.cwiseAbs2();
    learnt_.push_back(std::move(column));
  }

  double weight = 1;

 private:
  Outset* outset_;
  Matrix pulls_;
  Vector reach_, variances_;
  Index targets_ = 0;
  std::vector<Vector> learnt_;  // sum of learnt learnt' is what the candidates taken explain
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
      const double outcome = source.outcome(c) + node * std::sqrt(source.spread(c));
      double most = -HUGE_VAL, total = 0;
      for (std::size_t k = 0; k < count; ++k) {
        surprise[k] = outcome - modes[k].outcome(c);
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
  constexpr std::size_t kParts = 8;
  std::vector<bool> taken(candidates.size(), false);
  std::vector<double> costs;
  for (std::size_t c = 0; c < candidates.size(); ++c) costs.push_back(cost_of(candidates, c));
  while (static_cast<int>(selection.runs.size()) < options.count) {
    const double before = tell_apart ? disagreement(believers) : 0;
    const auto worth = [&](std::size_t c) {
      const auto index = static_cast<Index>(c);
      const double apart =
          tell_apart ? std::max(0.0, before - expected_disagreement(believers, index)) : 0;
      return Chosen{c, own_gain(believers, index, options.gain) + apart, apart, costs[c]};
    };
    const auto rate_of = [&](const Chosen& run) { return run.gain / std::pow(run.cost, gamma); };
    // The first of equals in every part and among the parts, whatever their number.
    std::vector<Chosen> bests(kParts);
    parallel_for(kParts, 0, [&](std::size_t part) {
      Chosen& best = bests[part];
      for (std::size_t c = part * costs.size() / kParts; c < (part + 1) * costs.size() / kParts;
           ++c) {
        if (taken[c] || costs[c] > options.spend - selection.spent) continue;
        const Chosen run = worth(c);
        if (best.gain > 0 ? rate_of(run) > rate_of(best) : run.gain > 0) best = run;
      }
    });
    Chosen best;
    for (const Chosen& run : bests)
      if (run.gain > 0 && (!(best.gain > 0) || rate_of(run) > rate_of(best))) best = run;
    if (!(best.gain > 0)) break;
    parallel_for(believers.size(), 0, [&](std::size_t k) {
      believers[k].learn(static_cast<Index>(best.candidate));
    });
    taken[best.candidate] = !options.again;
    selection.spent += best.cost;
    selection.runs.push_back(best);
  }
  selection.outlook.error_after = expected_error(believers);
  return selection;
}

}  // namespace

Selection choose_runs(const std::vector<Belief>& beliefs,
                      const Points& candidates,
                      const Points& targets,
                      const Choosing& options) {
  double total = 0;
  for (const Belief& belief : beliefs) total += belief.weight;
  std::vector<std::optional<Outset>> outsets(beliefs.size());
  parallel_for(beliefs.size(), 0, [&](std::size_t k) {
    outsets[k].emplace(beliefs[k], candidates, targets);
  });
  std::vector<Believer> believers;
  for (std::size_t k = 0; k < beliefs.size(); ++k)
    believers.emplace_back(*outsets[k], beliefs[k].weight / total);
  if (options.gamma) return choose_with(believers, candidates, options, *options.gamma);
  Selection best;
  for (const double gamma : {1.0, 0.75, 0.5, 0.25, 0.0}) {
    Selection selection = choose_with(believers, candidates, options, gamma);
    if (best.runs.empty() || selection.outlook.error_after < best.outlook.error_after)
      best = std::move(selection);
  }
  return best;
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

}  // namespace ration::fit
