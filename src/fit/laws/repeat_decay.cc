// The law of "Scaling Data-Constrained Language Models" (2023): a repeated token, and a parameter
// beyond what the unique tokens can feed, are worth less the more often it happens.
//   U_N = min(N, parameters for which U fresh tokens are compute-optimal)      R_N = N/U_N - 1
//   D' = U   (1 + R_D* (1 - exp(-R_D/R_D*)))      N' = U_N (1 + R_N* (1 - exp(-R_N/R_N*)))
//   L = E + A N'^-alpha + B D'^-beta
// U_N moves with the other parameters. ln D' and ln N' have continuous first derivatives, also
// where R_D or R_N becomes 0.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr double kLogSmallest = -4.605170185988091;  // ln 0.01: repeats are worthless
constexpr double kLogLargest = 9.210340371976184;    // ln 1e4: repeats are as good as new

constexpr std::array<Parameter, 7> kParameters = {{
    kTermParameters[0],
    kTermParameters[1],
    kTermParameters[2],
    kTermParameters[3],
    kTermParameters[4],
    {"rd_star",
     Scale::log,
     kLogSmallest,
     kLogLargest,
     "repeats after which a repeated token is worth 1/e of a fresh one",
     Parameter::Role::data_decay},
    {"rn_star",
     Scale::log,
     kLogSmallest,
     kLogLargest,
     "the same for parameters beyond what the unique tokens can feed",
     Parameter::Role::params_decay},
}};

// ln(1 + s (1 - exp(-r/s))) and its derivatives.
struct Growth {
  double log_factor = 0;
  double d_repeats = 0;    // by r
  double d_log_scale = 0;  // by ln s
};

Growth growth(double repeats, double scale) {
  const double decayed = std::exp(-repeats / scale);
  const double gained = scale * -std::expm1(-repeats / scale);
  const double factor = 1 + gained;
  return {std::log(factor), decayed / factor, (gained - repeats * decayed) / factor};
}

class RepeatDecay final : public Law {
 public:
  explicit RepeatDecay(bool params_decay) : params_decay_(params_decay) {}

  std::string_view name() const override {
    return params_decay_ ? "data-constrained" : "data-constrained-data";
  }
  std::string_view formula() const override {
    return params_decay_ ? "L = E + A N'^-alpha + B D'^-beta, repeats decaying by R_D* and R_N*"
                         : "L = E + A N^-alpha + B D'^-beta, repeats decaying by R_D*";
  }
  std::string_view source() const override {
    return "Scaling Data-Constrained Language Models (2023)";
  }
  bool describes_repetition() const override { return true; }
  std::span<const Parameter> parameters() const override {
    return std::span(kParameters).first(params_decay_ ? 7 : 6);
  }
  BaseTerms base_terms(std::span<const double> x) const override {
    return {x[0], x[1], x[2], x[3], x[4]};
  }
  double log_unrepeated_params(std::span<const double> x,
                               double log_n,
                               double log_u) const override {
    return params_decay_ ? std::min(log_n, base_terms(x).log_params_for_tokens(log_u)) : log_n;
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const BaseTerms base = base_terms(x);
    const double rd_star = std::exp(x[5]);
    const double rn_star = params_decay_ ? std::exp(x[6]) : 1;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Growth data = growth(points.repeats[i], rd_star);
      const double log_d = points.log_unique[i] + data.log_factor;
      Effective n = {points.log_params[i]};
      if (params_decay_)
        n = effective_params(base, points.log_params[i], points.log_unique[i], rn_star);
      const ThreeTerms terms = sum_terms(
          base.log_a - base.alpha * n.log_value, base.log_b - base.beta * log_d, base.log_e);
      log_loss[i] = terms.log_loss;
      if (!jacobian.empty()) fill_row(jacobian, points, i, base, terms, n, data, log_d);
    }
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override;

 private:
  // ln N' and its derivatives by ln U_N (before the cap) and ln R_N*.
  struct Effective {
    double log_value = 0;
    double d_log_unrepeated = 0;
    double d_log_scale = 0;
    double log_unrepeated = 0;
  };

  static Effective effective_params(const BaseTerms& base,
                                    double log_n,
                                    double log_u,
                                    double rn_star) {
    const double log_fed = base.log_params_for_tokens(log_u);
    if (!(log_fed < log_n)) return {log_n, 0, 0, log_fed};
    constexpr double kFinite = 1e300;  // keeps 0 * infinity out of the derivative
    const double repeats = std::min(std::expm1(log_n - log_fed), kFinite);
    const Growth g = growth(repeats, rn_star);
    return {log_fed + g.log_factor, 1 - g.d_repeats * (repeats + 1), g.d_log_scale, log_fed};
  }

  void fill_row(std::span<double> jacobian,
                const Points& points,
                std::size_t i,
                const BaseTerms& base,
                const ThreeTerms& terms,
                const Effective& n,
                const Growth& data,
                double log_d) const {
    const std::size_t rows = points.size();
    const double by_log_n = -base.alpha * terms.share_params;          // d ln L / d ln N'
    const double by_fed = by_log_n * n.d_log_unrepeated / base.alpha;  // times alpha d ln U_N
    jacobian[i] = terms.share_params + by_fed;
    jacobian[rows + i] = terms.share_tokens - by_fed;
    jacobian[2 * rows + i] = terms.share_floor;
    jacobian[3 * rows + i] =
        -terms.share_params * n.log_value + by_fed * (1 / base.alpha - n.log_unrepeated);
    jacobian[4 * rows + i] =
        -terms.share_tokens * log_d + by_fed * (points.log_unique[i] - 1 / base.beta);
    jacobian[5 * rows + i] = -base.beta * terms.share_tokens * data.d_log_scale;
    if (params_decay_) jacobian[6 * rows + i] = by_log_n * n.d_log_scale;
  }

  // The points as a law without repetition would see them: N' and D' in place of N and D.
  Points effective_points(const Points& points,
                          const BaseTerms& base,
                          double rd_star,
                          double rn_star) const {
    Points seen = points;
    for (std::size_t i = 0; i < points.size(); ++i) {
      seen.log_tokens[i] = points.log_unique[i] + growth(points.repeats[i], rd_star).log_factor;
      if (params_decay_)
        seen.log_params[i] =
            effective_params(base, points.log_params[i], points.log_unique[i], rn_star).log_value;
    }
    return seen;
  }

  bool params_decay_;
};

// A dense grid over (ln R_D*, ln R_N*), because the objective is known to be flat with several
// minima there. At each node the other five start from a linear solve for a few pairs of exponents;
// the best is kept.
std::vector<Coordinates> RepeatDecay::starts(const Points& points,
                                             std::span<const double> log_loss) const {
  constexpr int kNodes = 12;
  constexpr double kFirst = -2.995732273553991;  // ln 0.05
  const double step = (kLogLargest - kFirst) / (kNodes - 1);
  std::vector<Coordinates> all;
  for (int i = 0; i < kNodes; ++i) {
    const double log_rd = kFirst + step * i;
    constexpr BaseTerms kUnlimited = {60, -20, 0, 1, 1};  // U_N beyond any N: N' = N
    const Points data_only = effective_points(points, kUnlimited, std::exp(log_rd), 1);
    const TermStart plain =
        exponent_starts(data_only.log_params, data_only.log_tokens, log_loss, false).front();
    if (!params_decay_) {
      all.push_back(plain.coordinates(false));
      all.back().push_back(log_rd);
      continue;
    }
    for (int j = 0; j < kNodes; ++j) {
      const double log_rn = kFirst + step * j;
      const Points seen = effective_points(points, plain.terms, std::exp(log_rd), std::exp(log_rn));
      const TermStart start =
          exponent_starts(seen.log_params, seen.log_tokens, log_loss, false).front();
      all.push_back(start.coordinates(false));
      all.back().push_back(log_rd);
      all.back().push_back(log_rn);
    }
  }
  return all;
}

}  // namespace

const Law& data_constrained() {
  static const RepeatDecay law(true);
  return law;
}

const Law& data_constrained_data() {
  static const RepeatDecay law(false);
  return law;
}

}  // namespace ration::fit
