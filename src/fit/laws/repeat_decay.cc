// The law of "Scaling Data-Constrained Language Models" (2023): a repeated token, and a parameter
// beyond what the unique tokens can feed, are worth less the more often it happens.
//   U_N = min(N, parameters for which U fresh tokens are compute-optimal)      R_N = N/U_N - 1
//   D' = U g(R_D; R_D*)     N' = U_N g(R_N; R_N*)     L = E + A N'^-alpha + B D'^-beta
// Exponential decay: g(R; s) = 1 + s (1 - exp(-R/s)). Geometric: g(R; s) = s (1 - (1 - 1/s)^(1+R)),
// which is the source's (1 - (1-d)^m)/d with d = 1/s and m = 1 + R epochs. Either way a repeat is
// worth about 1/e of a fresh token after s repeats. U_N moves with the other parameters; under
// exponential decay ln D' and ln N' have continuous first derivatives, also where R becomes 0.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr double kLogSmallest = -4.605170185988091;  // ln 0.01: repeats are worthless
constexpr double kLogLargest = 9.210340371976184;    // ln 1e4: repeats are as good as new
constexpr double kLogOne = 1e-4;                     // geometric scales exceed 1

constexpr Parameter decay(std::string_view name,
                          double lower,
                          std::string_view meaning,
                          Parameter::Role role) {
  return {name, Scale::log, lower, kLogLargest, meaning, role};
}
constexpr Parameter data_decay(double lower) {
  return decay("rd_star",
               lower,
               "repeats after which a repeated token is worth 1/e of a fresh one",
               Parameter::Role::data_decay);
}
constexpr Parameter params_decay(double lower) {
  return decay("rn_star",
               lower,
               "the same for parameters beyond what the unique tokens can feed",
               Parameter::Role::params_decay);
}

constexpr std::array<Parameter, 8> kExponential = {kTermParameters[0],
                                                   kTermParameters[1],
                                                   kTermParameters[2],
                                                   kTermParameters[3],
                                                   kTermParameters[4],
                                                   data_decay(kLogSmallest),
                                                   params_decay(kLogSmallest),
                                                   kOuterExponent};
constexpr std::array<Parameter, 6> kTied = {kTermParameters[0],
                                            kTermParameters[1],
                                            kTermParameters[2],
                                            kTiedExponent,
                                            data_decay(kLogSmallest),
                                            params_decay(kLogSmallest)};
constexpr std::array<Parameter, 7> kGeometric = {kTermParameters[0],
                                                 kTermParameters[1],
                                                 kTermParameters[2],
                                                 kTermParameters[3],
                                                 kTermParameters[4],
                                                 data_decay(kLogOne),
                                                 params_decay(kLogOne)};

// ln g and its derivatives.
struct Growth {
  double log_factor = 0;
  double d_repeats = 0;    // by R
  double d_log_scale = 0;  // by ln s
};

Growth exponential_growth(double repeats, double scale) {
  const double decayed = std::exp(-repeats / scale);
  const double gained = scale * -std::expm1(-repeats / scale);
  const double factor = 1 + gained;
  return {std::log(factor), decayed / factor, (gained - repeats * decayed) / factor};
}

Growth geometric_growth(double repeats, double scale) {
  const double log_kept = std::log1p(-1 / scale);  // of a token's value, at each repeat
  const double epochs = 1 + repeats;
  const double left = std::exp(epochs * log_kept);
  const double spent = -std::expm1(epochs * log_kept);
  constexpr double kNothing = 1e-280;  // keeps infinity times 0 out of the last derivative
  const double by_kept = left > kNothing ? epochs * left / ((scale - 1) * spent) : 0;
  return {std::log(scale * spent), -log_kept * left / spent, 1 - by_kept};
}

// Which law of the family.
struct Form {
  std::string_view name;
  std::string_view formula;
  std::span<const Parameter> parameters;
  bool params_decay = true;
  bool tied = false;
  bool outer = false;
  bool geometric = false;
};

class RepeatDecay final : public Law {
 public:
  explicit RepeatDecay(const Form& form) : form_(form) {}

  std::string_view name() const override { return form_.name; }
  std::string_view formula() const override { return form_.formula; }
  std::string_view source() const override {
    return "Scaling Data-Constrained Language Models (2023)";
  }
  bool describes_repetition() const override { return true; }
  std::span<const Parameter> parameters() const override { return form_.parameters; }
  double log_unrepeated_params(std::span<const double> x,
                               double log_n,
                               double log_u) const override {
    return form_.params_decay ? std::min(log_n, base_terms(x).log_params_for_tokens(log_u)) : log_n;
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const BaseTerms base = base_terms(x);
    const std::size_t first = decay_index();
    const double rd_star = std::exp(x[first]);
    const double rn_star = form_.params_decay ? std::exp(x[first + 1]) : 1;
    const double outer = form_.outer ? std::exp(x.back()) : 1;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Growth data = growth(points.repeats[i], rd_star);
      const double log_d = points.log_unique[i] + data.log_factor;
      Effective n = {points.log_params[i]};
      if (form_.params_decay)
        n = effective_params(base, points.log_params[i], points.log_unique[i], rn_star);
      const double params_term = base.log_a - base.alpha * n.log_value;
      const double tokens_term = base.log_b - base.beta * log_d;
      const ThreeTerms terms = form_.outer
                                   ? sum_terms_outer(params_term, tokens_term, base.log_e, outer)
                                   : sum_terms(params_term, tokens_term, base.log_e);
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

  std::size_t decay_index() const { return form_.tied ? 4 : 5; }

  BaseTerms base_terms(std::span<const double> x) const {
    return {x[0], x[1], x[2], x[3], form_.tied ? x[3] : x[4]};
  }

  Growth growth(double repeats, double scale) const {
    return form_.geometric ? geometric_growth(repeats, scale) : exponential_growth(repeats, scale);
  }

  Effective effective_params(const BaseTerms& base,
                             double log_n,
                             double log_u,
                             double rn_star) const {
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
    const double by_alpha =
        -terms.share_params * n.log_value + by_fed * (1 / base.alpha - n.log_unrepeated);
    const double by_beta =
        -terms.share_tokens * log_d + by_fed * (points.log_unique[i] - 1 / base.beta);
    std::size_t column = 0;
    const auto put = [&](double value) { jacobian[column++ * rows + i] = value; };
    put(terms.share_params + by_fed);
    put(terms.share_tokens - by_fed);
    put(terms.share_floor);
    if (form_.tied) {
      put(by_alpha + by_beta);
    } else {
      put(by_alpha);
      put(by_beta);
    }
    put(-base.beta * terms.share_tokens * data.d_log_scale);
    if (form_.params_decay) put(by_log_n * n.d_log_scale);
    if (form_.outer) put(terms.by_log_outer);
  }

  // The points as a law without repetition would see them: N' and D' in place of N and D.
  Points effective_points(const Points& points,
                          const BaseTerms& base,
                          double rd_star,
                          double rn_star) const {
    Points seen = points;
    for (std::size_t i = 0; i < points.size(); ++i) {
      seen.log_tokens[i] = points.log_unique[i] + growth(points.repeats[i], rd_star).log_factor;
      if (form_.params_decay)
        seen.log_params[i] =
            effective_params(base, points.log_params[i], points.log_unique[i], rn_star).log_value;
    }
    return seen;
  }

  Form form_;
};

// A dense grid over (ln R_D*, ln R_N*), because the objective is known to be flat with several
// minima there. At each node the others start from a linear solve for pairs of exponents; the best
// is kept.
std::vector<Coordinates> RepeatDecay::starts(const Points& points,
                                             std::span<const double> log_loss) const {
  constexpr int kNodes = 12;
  const double first = form_.geometric ? 0.05 : -2.995732273553991;  // ln 0.05
  const double step = (kLogLargest - first) / (kNodes - 1);
  const std::vector<double> outers =
      form_.outer ? std::vector<double>{1.0, 0.7} : std::vector<double>{1.0};
  std::vector<Coordinates> all;
  for (int i = 0; i < kNodes; ++i) {
    const double log_rd = first + step * i;
    constexpr BaseTerms kUnlimited = {60, -20, 0, 1, 1};  // U_N beyond any N: N' = N
    const Points data_only = effective_points(points, kUnlimited, std::exp(log_rd), 2);
    const TermStart plain =
        exponent_starts(data_only.log_params, data_only.log_tokens, log_loss, form_.tied).front();
    if (!form_.params_decay) {
      all.push_back(plain.coordinates(form_.tied));
      all.back().push_back(log_rd);
      continue;
    }
    for (int j = 0; j < kNodes; ++j) {
      const double log_rn = first + step * j;
      const Points seen = effective_points(points, plain.terms, std::exp(log_rd), std::exp(log_rn));
      const TermStart start =
          exponent_starts(seen.log_params, seen.log_tokens, log_loss, form_.tied).front();
      for (const double k : outers) {
        Coordinates x = start.coordinates(form_.tied);
        if (form_.outer)
          for (const std::size_t c : {0, 1, 3, 4}) x[c] /= k;
        x.insert(x.end(), {log_rd, log_rn});
        if (form_.outer) x.push_back(std::log(k));
        all.push_back(std::move(x));
      }
    }
  }
  return all;
}

}  // namespace

const Law& data_constrained() {
  static const RepeatDecay law(
      {.name = "data-constrained",
       .formula = "L = E + A N'^-alpha + B D'^-beta, repeats decaying by R_D* and R_N*",
       .parameters = std::span(kExponential).first(7)});
  return law;
}

const Law& data_constrained_tied() {
  static const RepeatDecay law(
      {.name = "data-constrained-tied",
       .formula = "L = E + A N'^-alpha + B D'^-alpha, repeats decaying by R_D* and R_N*",
       .parameters = kTied,
       .tied = true});
  return law;
}

const Law& data_constrained_data() {
  static const RepeatDecay law(
      {.name = "data-constrained-data",
       .formula = "L = E + A N^-alpha + B D'^-beta, repeats decaying by R_D*",
       .parameters = std::span(kExponential).first(6),
       .params_decay = false});
  return law;
}

const Law& data_constrained_outer() {
  static const RepeatDecay law(
      {.name = "data-constrained-outer",
       .formula = "L = E + (A N'^-alpha + B D'^-beta)^k, repeats decaying by R_D* and R_N*",
       .parameters = kExponential,
       .outer = true});
  return law;
}

const Law& data_constrained_geometric() {
  static const RepeatDecay law(
      {.name = "data-constrained-geometric",
       .formula = "L = E + A N'^-alpha + B D'^-beta, repeats decaying geometrically",
       .parameters = kGeometric,
       .geometric = true});
  return law;
}

}  // namespace ration::fit
