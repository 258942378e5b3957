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
  Block log_factor;
  Block d_repeats;    // by R
  Block d_log_scale;  // by ln s
};

void exponential_growth(const double* repeats, std::size_t size, double scale, Growth& growth) {
  Block spent;  // exp(-R/s) - 1
  for (std::size_t i = 0; i < size; ++i) spent[i] = -repeats[i] / scale;
  expm1_all(head(spent, size), head(spent, size));
  for (std::size_t i = 0; i < size; ++i) {
    const double gained = -scale * spent[i];
    const double left = 1 + spent[i];
    const double factor = 1 + gained;
    growth.log_factor[i] = factor;
    growth.d_repeats[i] = left / factor;
    growth.d_log_scale[i] = (gained - repeats[i] * left) / factor;
  }
  log_all(head(growth.log_factor, size), head(growth.log_factor, size));
}

void geometric_growth(const double* repeats, std::size_t size, double scale, Growth& growth) {
  const double log_kept = std::log1p(-1 / scale);  // of a token's value, at each repeat
  Block spent;                                     // 1 - (1 - 1/s)^(1 + R), negative
  for (std::size_t i = 0; i < size; ++i) spent[i] = (1 + repeats[i]) * log_kept;
  expm1_all(head(spent, size), head(spent, size));
  for (std::size_t i = 0; i < size; ++i) {
    const double left = 1 + spent[i];
    growth.log_factor[i] = -scale * spent[i];
    growth.d_repeats[i] = log_kept * left / spent[i];
    growth.d_log_scale[i] = left > 0 ? 1 + (1 + repeats[i]) * left / ((scale - 1) * spent[i]) : 1;
  }
  log_all(head(growth.log_factor, size), head(growth.log_factor, size));
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
  double log_effective_tokens(std::span<const double> x,
                              double log_d,
                              double log_u) const override {
    if (log_d <= log_u) return log_d;
    const double repeats = std::expm1(log_d - log_u);
    Growth growth;
    grow(&repeats, 1, std::exp(x[decay_index()]), growth);
    return log_u + growth.log_factor[0];
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const BaseTerms base = base_terms(x);
    const std::size_t decay = decay_index();
    const double rd_star = std::exp(x[decay]);
    const double rn_star = form_.params_decay ? std::exp(x[decay + 1]) : 1;
    const double outer = form_.outer ? std::exp(x.back()) : 1;
    for_blocks(points.size(), [&](std::size_t first, std::size_t size) {
      Growth data;
      grow(&points.repeats[first], size, rd_star, data);
      Effective params;
      effective_params(base, points, first, size, rn_star, params);
      Block log_d;
      ThreeTerms terms;
      for (std::size_t i = 0; i < size; ++i) {
        log_d[i] = points.log_unique[first + i] + data.log_factor[i];
        terms.share_params[i] = base.log_a - base.alpha * params.log_value[i];
        terms.share_tokens[i] = base.log_b - base.beta * log_d[i];
      }
      if (form_.outer)
        terms.sum_outer(size, base.log_e, outer);
      else
        terms.sum(size, base.log_e);
      std::copy_n(terms.log_loss.begin(), size, &log_loss[first]);
      if (!jacobian.empty())
        fill_rows(jacobian, points, first, size, base, terms, params, data, log_d);
    });
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override;

  // {0, 6.67, 13.33, 20}^2 for R_D* and R_N* around the base law that the source holds fixed.
  std::vector<Coordinates> published_starts() const override {
    if (form_.outer || form_.geometric || form_.tied || !form_.params_decay) return {};
    std::vector<Coordinates> all;
    for (const double rd_star : {0.0, 20 / 3.0, 40 / 3.0, 20.0})
      for (const double rn_star : {0.0, 20 / 3.0, 40 / 3.0, 20.0})
        all.push_back({6.255414,
                       7.3049974,
                       0.6254804,
                       0.3526596,
                       0.3526596,
                       std::log(rd_star),
                       std::log(rn_star)});
    return all;
  }

 private:
  // ln N' and its derivatives by ln U_N (before the cap) and ln R_N*.
  struct Effective {
    Block log_value;
    Block d_log_unrepeated;
    Block d_log_scale;
    Block log_unrepeated;
  };

  std::size_t decay_index() const { return form_.tied ? 4 : 5; }

  BaseTerms base_terms(std::span<const double> x) const {
    return {x[0], x[1], x[2], x[3], form_.tied ? x[3] : x[4]};
  }

  void grow(const double* repeats, std::size_t size, double scale, Growth& growth) const {
    (form_.geometric ? geometric_growth : exponential_growth)(repeats, size, scale, growth);
  }

  void effective_params(const BaseTerms& base,
                        const Points& points,
                        std::size_t first,
                        std::size_t size,
                        double rn_star,
                        Effective& params) const {
    const double* log_n = &points.log_params[first];
    if (!form_.params_decay) {
      std::copy_n(log_n, size, params.log_value.begin());
      std::fill_n(params.d_log_unrepeated.begin(), size, 0.0);
      std::fill_n(params.d_log_scale.begin(), size, 0.0);
      std::fill_n(params.log_unrepeated.begin(), size, 0.0);
      return;
    }
    constexpr double kFinite = 690;  // keeps 0 * infinity out of the derivative
    const double offset = base.log_params_for_tokens(0);
    const double slope = base.beta / base.alpha;
    Block repeats;
    for (std::size_t i = 0; i < size; ++i) {
      params.log_unrepeated[i] = offset + slope * points.log_unique[first + i];
      repeats[i] = std::clamp(log_n[i] - params.log_unrepeated[i], 0.0, kFinite);
    }
    expm1_all(head(repeats, size), head(repeats, size));
    Growth growth;
    grow(repeats.data(), size, rn_star, growth);
    for (std::size_t i = 0; i < size; ++i) {
      const bool repeated = params.log_unrepeated[i] < log_n[i];
      params.log_value[i] = repeated ? params.log_unrepeated[i] + growth.log_factor[i] : log_n[i];
      params.d_log_unrepeated[i] = repeated ? 1 - growth.d_repeats[i] * (repeats[i] + 1) : 0.0;
      params.d_log_scale[i] = repeated ? growth.d_log_scale[i] : 0.0;
    }
  }

  void fill_rows(std::span<double> jacobian,
                 const Points& points,
                 std::size_t first,
                 std::size_t size,
                 const BaseTerms& base,
                 const ThreeTerms& terms,
                 const Effective& params,
                 const Growth& data,
                 const Block& log_d) const {
    const std::size_t rows = points.size();
    Block by_log_n, by_fed, by_alpha, by_beta;  // by_fed: times alpha d ln U_N
    for (std::size_t i = 0; i < size; ++i) {
      by_log_n[i] = -base.alpha * terms.share_params[i];
      by_fed[i] = by_log_n[i] * params.d_log_unrepeated[i] / base.alpha;
      by_alpha[i] = -terms.share_params[i] * params.log_value[i] +
                    by_fed[i] * (1 / base.alpha - params.log_unrepeated[i]);
      by_beta[i] = -terms.share_tokens[i] * log_d[i] +
                   by_fed[i] * (points.log_unique[first + i] - 1 / base.beta);
    }
    std::size_t column = 0;
    const auto put = [&](const auto& value) {
      double* out = &jacobian[column++ * rows + first];
      for (std::size_t i = 0; i < size; ++i) out[i] = value(i);
    };
    put([&](std::size_t i) { return terms.share_params[i] + by_fed[i]; });
    put([&](std::size_t i) { return terms.share_tokens[i] - by_fed[i]; });
    put([&](std::size_t i) { return terms.share_floor[i]; });
    if (form_.tied) {
      put([&](std::size_t i) { return by_alpha[i] + by_beta[i]; });
    } else {
      put([&](std::size_t i) { return by_alpha[i]; });
      put([&](std::size_t i) { return by_beta[i]; });
    }
    put([&](std::size_t i) { return -base.beta * terms.share_tokens[i] * data.d_log_scale[i]; });
    if (form_.params_decay) put([&](std::size_t i) { return by_log_n[i] * params.d_log_scale[i]; });
    if (form_.outer) put([&](std::size_t i) { return terms.by_log_outer[i]; });
  }

  // The points as a law without repetition would see them: N' and D' in place of N and D.
  Points effective_points(const Points& points,
                          const BaseTerms& base,
                          double rd_star,
                          double rn_star) const {
    Points seen = points;
    for_blocks(points.size(), [&](std::size_t first, std::size_t size) {
      Growth data;
      grow(&points.repeats[first], size, rd_star, data);
      Effective params;
      effective_params(base, points, first, size, rn_star, params);
      for (std::size_t i = 0; i < size; ++i) {
        seen.log_tokens[first + i] = points.log_unique[first + i] + data.log_factor[i];
        seen.log_params[first + i] = params.log_value[i];
      }
    });
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
