#include "fit/belief.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace ration::fit {
namespace {

using Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

Index size_of(const Points& points) { return static_cast<Index>(points.size()); }

Eigen::Map<const Vector> view(std::span<const double> values) {
  return {values.data(), static_cast<Index>(values.size())};
}

struct Linear {
  Vector log_loss;
  Matrix slopes;  // one row a point
};

Linear linearise(const Law& law, const Coordinates& x, const Points& points) {
  Linear at{Vector(size_of(points)), Matrix(size_of(points), static_cast<Index>(law.size()))};
  law.evaluate(x,
               points,
               {at.log_loss.data(), points.size()},
               {at.slopes.data(), static_cast<std::size_t>(at.slopes.size())});
  return at;
}

// One law before some runs.
class Question {
 public:
  Question(const Law& law,
           const Points& runs,
           std::span<const double> log_loss,
           std::span<const double> run_weights,
           const Misfit& misfit)
      : law_(law),
        runs_(runs),
        log_loss_(view(log_loss)),
        variances_(view(run_weights).cwiseInverse()),
        misfit_(size_of(runs), size_of(runs)),
        centre_(law.typical()) {
    const auto p = static_cast<Index>(law.size());
    precision_ = Eigen::Map<const Matrix>(prior_precision(law).data(), p, p);
    covariance_ = precision_.llt().solve(Matrix::Identity(p, p));
    for (std::size_t i = 0; i < runs.size(); ++i)
      for (std::size_t j = 0; j < runs.size(); ++j)
        misfit_(static_cast<Index>(i), static_cast<Index>(j)) =
            misfit.size * misfit.size * std::exp(-distance(runs, i, runs, j) / misfit.reach);
    set_noise(kTypicalNoise);
  }

  double noise() const { return noise_; }
  void set_noise(double noise) {
    noise_ = noise;
    factor_.compute(misfit_ + Matrix((noise * noise * variances_).asDiagonal()));
  }

  // Minus the logarithm of the posterior density, up to a constant.
  double cost(const Coordinates& x) const {
    Vector predicted(log_loss_.size());
    law_.evaluate(x, runs_, {predicted.data(), runs_.size()}, {});
    const Vector r = factor_.matrixL().solve(predicted - log_loss_);
    const Vector moved = offset(x);
    const double sum = (r.squaredNorm() + moved.dot(precision_ * moved)) / 2;
    return std::isfinite(sum) ? sum : HUGE_VAL;
  }

  // Gauss-Newton with damping (Levenberg, Marquardt).
  void descend(Coordinates& x) const {
    constexpr int kSteps = 60;
    constexpr double kEnough = 1e-8, kLeast = 1e-9, kHopeless = 1e10;
    double damping = 1e-3, reached = cost(x);
    for (int step = 0; step < kSteps && damping < kHopeless; ++step) {
      const Linear at = linearise(law_, x, runs_);
      const Vector r = factor_.matrixL().solve(at.log_loss - log_loss_);
      const Matrix slopes = factor_.matrixL().solve(at.slopes);
      const Matrix curvature = slopes.transpose() * slopes + precision_;
      const Vector slope = slopes.transpose() * r + precision_ * offset(x);
      if (!curvature.allFinite() || !slope.allFinite()) return;
      const double before = reached;
      for (; damping < kHopeless; damping *= 4) {
        Matrix damped = curvature;
        damped.diagonal() *= 1 + damping;
        const Vector move = damped.llt().solve(-slope);
        Coordinates there = x;
        for (std::size_t j = 0; j < x.size(); ++j)
          there[j] = std::clamp(x[j] + move[static_cast<Index>(j)],
                                law_.parameters()[j].lower,
                                law_.parameters()[j].upper);
        const double value = cost(there);
        if (!(value < reached)) continue;
        x = std::move(there);
        reached = value;
        damping = std::max(damping / 4, kLeast);
        break;
      }
      if (!(before - reached > kEnough * (1 + reached))) return;
    }
  }

  // ln of the density of all losses with theta and misfit integrated out, linearised at x.
  double log_evidence(const Linear& at, const Coordinates& x, double noise) const {
    const Matrix all = at.slopes * covariance_ * at.slopes.transpose() + misfit_ +
                       Matrix((noise * noise * variances_).asDiagonal());
    const Eigen::LLT<Matrix> factor(all);
    const Vector z = factor.matrixL().solve(log_loss_ - at.log_loss + at.slopes * offset(x));
    return -z.squaredNorm() / 2 - factor.matrixLLT().diagonal().array().log().sum();
  }
  double log_evidence(const Coordinates& x) const {
    return log_evidence(linearise(law_, x, runs_), x, noise_);
  }

  // The most probable noise around x: on a grid of factors of 2, and between by a parabola. Runs of
  // one recipe differ by 0.2 to 0.5 %; a factor of e about the upper end is no surprise.
  double likely_noise(const Coordinates& x) const {
    constexpr int kSteps = 4;  // to both sides: 0.03 % to 8 %
    const Linear at = linearise(law_, x, runs_);
    std::array<double, 2 * kSteps + 1> heights;
    for (int k = -kSteps; k <= kSteps; ++k) {
      const double surprise = k * std::log(2);
      heights[static_cast<std::size_t>(k + kSteps)] =
          log_evidence(at, x, std::ldexp(kTypicalNoise, k)) - surprise * surprise / 2;
    }
    const auto best = std::max_element(heights.begin() + 1, heights.end() - 1);
    const double bend = best[-1] - 2 * best[0] + best[1];
    const double aside = bend < 0 ? std::clamp((best[-1] - best[1]) / (2 * bend), -1.0, 1.0) : 0;
    const auto steps = static_cast<double>(best - heights.begin() - kSteps);
    return kTypicalNoise * std::exp2(steps + aside);
  }

  // (misfit + noise)^-1 residuals
  std::vector<double> pulls(const Coordinates& x) const {
    std::vector<double> pulls(runs_.size());
    Eigen::Map<Vector> solved(pulls.data(), size_of(runs_));
    solved = factor_.solve(log_loss_ - linearise(law_, x, runs_).log_loss);
    return pulls;
  }

 private:
  static constexpr double kTypicalNoise = 0.005;

  Vector offset(const Coordinates& x) const { return view(x) - view(centre_); }

  const Law& law_;
  const Points& runs_;
  Eigen::Map<const Vector> log_loss_;
  Vector variances_;  // of the runs, over that of a run of weight 1
  Matrix misfit_;     // covariances
  Coordinates centre_;
  Matrix precision_, covariance_;  // of theta before the runs
  double noise_ = 0;
  Eigen::LLT<Matrix> factor_;  // of misfit and noise
};

// All places where the runs leave one law.
std::vector<Belief> believe_law(const Law& law,
                                std::vector<Coordinates> starts,
                                double weight,
                                const Points& runs,
                                std::span<const double> log_loss,
                                std::span<const double> run_weights,
                                const Misfit& misfit) {
  const Belief blank{.law = &law,
                     .misfit = misfit,
                     .weight = weight,
                     .runs = runs,
                     .run_weights = {run_weights.begin(), run_weights.end()}};
  Question question(law, runs, log_loss, run_weights, misfit);
  if (runs.size() == 0) {
    Belief prior = blank;
    prior.x = law.typical();
    prior.noise = question.noise();
    return {prior};
  }
  constexpr int kRounds = 3;
  constexpr double kSameNoise = 0.05;  // relative
  for (int round = 0; round < kRounds; ++round) {
    for (Coordinates& x : starts) question.descend(x);
    const Coordinates& best = *std::min_element(
        starts.begin(), starts.end(), [&](const Coordinates& a, const Coordinates& b) {
          return question.cost(a) < question.cost(b);
        });
    const double noise = question.likely_noise(best);
    const bool settled = std::abs(noise / question.noise() - 1) < kSameNoise;
    if (settled || round + 1 == kRounds) break;
    question.set_noise(noise);
  }

  std::vector<Belief> beliefs;
  for (const Coordinates& x : starts) {
    constexpr double kSame = 1e-2;  // of coordinates: what the runs could tell apart is wider
    const bool known = std::any_of(beliefs.begin(), beliefs.end(), [&](const Belief& other) {
      return (view(other.x) - view(x)).cwiseAbs().maxCoeff() < kSame;
    });
    if (known) continue;
    Belief belief = blank;
    belief.x = x;
    belief.noise = question.noise();
    belief.log_evidence = question.log_evidence(x);
    belief.pulls = question.pulls(x);
    beliefs.push_back(std::move(belief));
  }
  std::stable_sort(beliefs.begin(), beliefs.end(), [](const Belief& a, const Belief& b) {
    return a.log_evidence > b.log_evidence;
  });
  constexpr double kCredible = 1e-3;
  double total = 0;
  for (Belief& belief : beliefs) {
    belief.weight = std::exp(belief.log_evidence - beliefs.front().log_evidence);
    if (belief.weight >= kCredible) total += belief.weight;
  }
  std::erase_if(beliefs, [](const Belief& b) { return !(b.weight >= kCredible); });
  for (Belief& belief : beliefs) belief.weight *= weight / total;
  return beliefs;
}

std::array<double, 3> place(const Points& points, std::size_t i) {
  return {points.log_params[i] + points.log_tokens[i],
          points.log_tokens[i] - points.log_unique[i],
          points.log_params[i] - points.log_unique[i]};
}

}  // namespace

std::vector<Error> check(const Misfit& misfit) {
  std::vector<Error> problems;
  const auto wrong = [&](std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  if (!(misfit.size >= 0 && misfit.size <= 1))
    wrong(fmt::format("a misfit of {:g}", misfit.size), "0 to 1 in units of ln L, such as 0.2");
  if (!(misfit.reach > 0))
    wrong(fmt::format("a reach of {:g}", misfit.reach), "above 0 in units of ln C, such as 6");
  return problems;
}

std::vector<double> prior_precision(const Law& law) {
  const auto p = static_cast<Index>(law.size());
  Matrix to_known = Matrix::Identity(p, p);  // what is known, by the coordinates
  Vector deviations(p);
  const auto find = [&](const auto& matches) -> std::optional<Index> {
    for (Index j = 0; j < p; ++j)
      if (matches(law.parameters()[static_cast<std::size_t>(j)])) return j;
    return {};
  };
  using Role = Parameter::Role;
  for (Index j = 0; j < p; ++j) {
    const Parameter& parameter = law.parameters()[static_cast<std::size_t>(j)];
    switch (parameter.role) {
      case Role::floor:
        deviations[j] = 0.5;
        break;
      case Role::data_decay:
      case Role::params_decay:
        deviations[j] = 1.5;
        break;
      case Role::penalty:
        deviations[j] = 3;
        break;
      case Role::term:
        deviations[j] = 3;
        break;
      default:
        deviations[j] = 0.1;
    }
    // An exponent of a term, of penalties or of the sum of terms.
    if (parameter.name == "k" || parameter.name == "d") deviations[j] = 0.3;
  }
  const auto tie = [&](std::string_view scale, Role role, double log_size) {
    const auto term = find([&](const Parameter& q) { return q.name == scale; });
    auto exponent = find([&](const Parameter& q) { return q.role == role; });
    if (!exponent)
      exponent = find([](const Parameter& q) { return q.role == Role::shared_exponent; });
    if (!term || !exponent) return;
    to_known(*term, *exponent) = -log_size;
    deviations[*term] = 1;
  };
  tie("A", Role::params_exponent, std::log(1e9));
  tie("B", Role::tokens_exponent, std::log(2e10));
  const Matrix scaled = deviations.cwiseInverse().asDiagonal() * to_known;
  const Matrix precision = scaled.transpose() * scaled;
  return {precision.data(), precision.data() + precision.size()};
}

double distance(const Points& a, std::size_t i, const Points& b, std::size_t j) {
  const std::array<double, 3> from = place(a, i), to = place(b, j);
  return std::abs(from[0] - to[0]) + std::abs(from[1] - to[1]) + std::abs(from[2] - to[2]);
}

std::vector<double> Belief::predict(const Points& points) const {
  std::vector<double> log_loss(points.size());
  law->evaluate(x, points, log_loss, {});
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t k = 0; k < runs.size(); ++k)
      log_loss[i] += misfit.size * misfit.size *
                     std::exp(-distance(points, i, runs, k) / misfit.reach) * pulls[k];
  return log_loss;
}

std::vector<Belief> believe(const std::vector<Mode>& modes,
                            const Points& runs,
                            std::span<const double> log_loss,
                            std::span<const double> run_weights,
                            const Misfit& misfit) {
  std::vector<const Law*> laws;
  for (const Mode& mode : modes)
    if (std::find(laws.begin(), laws.end(), mode.law) == laws.end()) laws.push_back(mode.law);
  std::vector<Belief> beliefs;
  for (const Law* law : laws) {
    std::vector<Coordinates> starts = {law->typical()};
    double weight = 0;
    for (const Mode& mode : modes) {
      if (mode.law != law) continue;
      if (weight == 0) weight = mode.weight;
      starts.push_back(mode.x);
    }
    for (Belief& belief : believe_law(*law, starts, weight, runs, log_loss, run_weights, misfit))
      beliefs.push_back(std::move(belief));
  }
  std::stable_sort(beliefs.begin(), beliefs.end(), [](const Belief& a, const Belief& b) {
    return a.weight > b.weight;
  });
  return beliefs;
}

}  // namespace ration::fit
