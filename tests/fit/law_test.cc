#include "fit/law.h"

#include <ceres/jet.h>
#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"

namespace ration::fit {
namespace {

// The formulas written a second time, as directly as the papers print them, for doubles and for
// Ceres' Jets.
template <class T>
T three_terms(
    const T& a, const T& b, const T& e, const T& alpha, const T& beta, const T& n, const T& d) {
  using std::exp, std::log, std::pow;
  return log(exp(e) + exp(a) * pow(n, -alpha) + exp(b) * pow(d, -beta));
}

// D' = U g or N' = U_N g after r repeats, decaying exponentially or geometrically.
template <class T>
T grown(const T& fresh, const T& r, const T& scale, bool geometric) {
  using std::exp, std::pow;
  if (!geometric) return fresh + fresh * scale * (T(1) - exp(-r / scale));
  const T lost = T(1) / scale;
  return fresh * (T(1) - pow(T(1) - lost, r + T(1))) / lost;
}

template <class T>
T repeat_decay(std::string_view law, const std::vector<T>& x, double n, double d, double u) {
  using std::exp, std::log, std::pow;
  const bool tied = law == "data-constrained-tied";
  const bool geometric = law == "data-constrained-geometric";
  const T alpha = x[3];
  const T beta = tied ? x[3] : x[4];
  const std::size_t next = tied ? 4 : 5;
  const T tokens = grown(T(u), T(d / u - 1), exp(x[next]), geometric);
  T params = T(n);
  if (law != "data-constrained-data") {
    const T g = pow(alpha * exp(x[0]) / (beta * exp(x[1])), T(1) / (alpha + beta));
    const T fed = g * pow(g * T(u), beta / alpha);
    if (fed < T(n)) params = grown(fed, T(n) / fed - T(1), exp(x[next + 1]), geometric);
  }
  if (law != "data-constrained-outer")
    return three_terms(x[0], x[1], x[2], alpha, beta, params, tokens);
  const T sum = exp(x[0]) * pow(params, -alpha) + exp(x[1]) * pow(tokens, -beta);
  return log(exp(x[2]) + pow(sum, exp(x[7])));
}

template <class T>
T direct(std::string_view law, const std::vector<T>& x, double n, double d, double u) {
  using std::exp, std::log, std::pow;
  if (law == "chinchilla") return three_terms(x[0], x[1], x[2], x[3], x[4], T(n), T(d));
  if (law == "chinchilla-tied") return three_terms(x[0], x[1], x[2], x[3], x[3], T(n), T(d));
  if (law == "outer-exponent")
    return log(exp(x[2]) +
               pow(exp(x[0]) * pow(T(n), -x[3]) + exp(x[1]) * pow(T(d), -x[4]), exp(x[5])));
  if (law == "over-training") {
    const T m = T(d / n);
    const T c = T(6 * n * d);
    return log(exp(x[2]) + (exp(x[0]) * pow(m, x[3]) + exp(x[1]) * pow(m, -x[3])) * pow(c, -x[3]));
  }
  if (law == "joint-decay")
    return x[3] * log(pow(exp(x[0]) / T(n), x[2] / x[3]) + exp(x[1]) / T(d));
  if (law == "power-params") return log(exp(x[1]) + exp(x[0]) * pow(T(n), -x[2]));
  if (law == "power-tokens") return log(exp(x[1]) + exp(x[0]) * pow(T(d), -x[2]));
  if (law == "power-compute") return log(exp(x[1]) + exp(x[0]) * pow(T(6 * n * d), -x[2]));
  if (law.starts_with("data-constrained")) return repeat_decay(law, x, n, d, u);
  const T base = exp(three_terms(x[0], x[1], x[2], x[3], x[4], T(n), T(d)));
  const double repeats = d / u - 1;
  if (repeats == 0) return log(base);
  if (law == "overfit-penalty")
    return log(base + exp(x[5]) * pow(T(repeats), exp(x[6])) * pow(T(n / u), exp(x[7])));
  const T penalty = exp(x[5]) * T(repeats) * T(n / u);
  if (law == "overfit-penalty-linear") return log(base + penalty);
  return log(base + exp(x[6]) * (T(1) - exp(-penalty / exp(x[6]))));
}

constexpr int kMaxParameters = 8;
using Jet = ceres::Jet<double, kMaxParameters>;

struct Sample {
  Points points;
  std::vector<std::array<double, 3>> counts;
  Coordinates x;
};

// Sizes, tokens and repeats over the whole range of published runs, and coordinates around
// published fits.
Sample random_sample(const Law& law, std::uint64_t seed) {
  Stream stream(seed, StreamId::starts);
  const auto between = [&](double low, double high) {
    return low + (high - low) * stream.uniform();
  };
  Sample sample;
  for (int i = 0; i < 40; ++i) {
    const double n = std::exp(between(std::log(1e6), std::log(1e11)));
    const double u = std::exp(between(std::log(1e7), std::log(1e12)));
    const double d = u * (i % 5 == 0 ? 1 : std::exp(between(0, std::log(200))));
    sample.points.add(Params(n), Tokens(d), Tokens(u));
    sample.counts.push_back({n, d, u});
  }
  const auto coordinate = [&](const Parameter& p) {
    if (p.is_exponent()) return p.name == "eta" ? between(0.1, 0.3) : between(0.2, 0.6);
    if (p.role == Parameter::Role::floor) return between(-1, 1);
    if (p.role == Parameter::Role::data_decay || p.role == Parameter::Role::params_decay)
      return between(std::max(-1.0, p.lower + 0.1), 5);
    if (p.name == "P") return between(-9, -5);
    if (p.name == "k" || p.name == "d") return between(-0.7, 0.5);
    if (p.name == "S") return between(-1, 1);
    if (p.name == "nc" || p.name == "dc") return between(28, 33);
    return between(4, 9);
  };
  for (const Parameter& parameter : law.parameters()) sample.x.push_back(coordinate(parameter));
  return sample;
}

class EveryLaw : public testing::TestWithParam<std::string> {
 protected:
  const Law& law() const { return *find_law(GetParam()); }
};

TEST_P(EveryLaw, EqualsItsFormulaWrittenDirectly) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sample sample = random_sample(law(), seed);
    std::vector<double> log_loss(sample.points.size());

    law().evaluate(sample.x, sample.points, log_loss, {});

    for (std::size_t i = 0; i < log_loss.size(); ++i) {
      const auto [n, d, u] = sample.counts[i];
      EXPECT_NEAR(log_loss[i], direct<double>(GetParam(), sample.x, n, d, u), 1e-11);
    }
  }
}

TEST_P(EveryLaw, HasTheJacobianThatAutomaticDifferentiationFinds) {
  const std::size_t p = law().size();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sample sample = random_sample(law(), seed);
    const std::size_t rows = sample.points.size();
    std::vector<double> log_loss(rows), jacobian(rows * p);
    law().evaluate(sample.x, sample.points, log_loss, jacobian);
    std::vector<Jet> jets;
    for (std::size_t j = 0; j < p; ++j) jets.emplace_back(sample.x[j], static_cast<int>(j));

    for (std::size_t i = 0; i < rows; ++i) {
      const auto [n, d, u] = sample.counts[i];
      const Jet expected = direct<Jet>(GetParam(), jets, n, d, u);
      for (std::size_t j = 0; j < p; ++j) {
        const double exact = expected.v[static_cast<int>(j)];
        EXPECT_NEAR(jacobian[j * rows + i], exact, 1e-10 * std::max(1.0, std::abs(exact)))
            << "parameter " << law().parameters()[j].name << ", N " << n << ", D " << d << ", U "
            << u;
      }
    }
  }
}

TEST_P(EveryLaw, HasTheJacobianThatFiniteDifferencesFind) {
  constexpr double kStep = 1e-5;
  const Sample sample = random_sample(law(), 99);
  const std::size_t rows = sample.points.size();
  std::vector<double> log_loss(rows), jacobian(rows * law().size()), above(rows), below(rows);
  law().evaluate(sample.x, sample.points, log_loss, jacobian);

  for (std::size_t j = 0; j < law().size(); ++j) {
    Coordinates x = sample.x;
    x[j] += kStep;
    law().evaluate(x, sample.points, above, {});
    x[j] -= 2 * kStep;
    law().evaluate(x, sample.points, below, {});

    // Second derivatives jump where N = U_N: a point next to it costs the difference an order.
    for (std::size_t i = 0; i < rows; ++i)
      EXPECT_NEAR(jacobian[j * rows + i], (above[i] - below[i]) / (2 * kStep), 2e-5);
  }
}

TEST_P(EveryLaw, StaysFiniteOverTheWholeBoxOfItsBounds) {
  Stream stream(3, StreamId::starts);
  const Sample sample = random_sample(law(), 1);
  std::vector<double> log_loss(sample.points.size());
  std::vector<double> jacobian(sample.points.size() * law().size());
  for (int draw = 0; draw < 300; ++draw) {
    Coordinates x;
    for (const Parameter& p : law().parameters()) {
      const double u = stream.uniform();
      x.push_back(u < 0.1 ? p.lower : u > 0.9 ? p.upper : std::lerp(p.lower, p.upper, u));
    }

    law().evaluate(x, sample.points, log_loss, jacobian);

    for (const double value : log_loss) ASSERT_TRUE(std::isfinite(value));
    for (const double value : jacobian) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_P(EveryLaw, StartsInsideItsBounds) {
  const Sample sample = random_sample(law(), 2);
  std::vector<double> log_loss(sample.points.size());
  law().evaluate(sample.x, sample.points, log_loss, {});

  const std::vector<Coordinates> starts = law().starts(sample.points, log_loss);

  ASSERT_FALSE(starts.empty());
  for (const Coordinates& start : starts) {
    ASSERT_EQ(start.size(), law().size());
    for (std::size_t j = 0; j < start.size(); ++j) {
      if (law().parameters()[j].role == Parameter::Role::term) continue;  // clamped by the descent
      EXPECT_GE(start[j], law().parameters()[j].lower);
      EXPECT_LE(start[j], law().parameters()[j].upper);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Laws, EveryLaw, testing::ValuesIn(law_names()), [](const auto& named) {
  std::string name = named.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

const Coordinates kPublished = {
    6.255414, 7.3049974, 0.6254804, 0.3526596, 0.3526596, std::log(15.387756), std::log(5.309743)};

double loss(std::string_view law, Coordinates x, double n, double d, double u) {
  x.resize(find_law(law)->size());
  Points point;
  point.add(Params(n), Tokens(d), Tokens(u));
  double log_loss = 0;
  find_law(law)->evaluate(x, point, {&log_loss, 1}, {});
  return std::exp(log_loss);
}

TEST(DataConstrainedLaw, EqualsChinchillaWhenNothingRepeatsAndTheModelIsFed) {
  // U_N of 25e9 unique tokens is 1.27e9 parameters.
  EXPECT_NEAR(loss("data-constrained", kPublished, 1e9, 25e9, 25e9),
              loss("chinchilla", kPublished, 1e9, 25e9, 25e9),
              1e-14);
}

TEST(DataConstrainedLaw, TreatsRepeatsAsFreshWhenNothingDecays) {
  Coordinates x = kPublished;
  x[5] = x[6] = 40;  // far beyond the bounds on purpose: the limit of the formula
  EXPECT_NEAR(loss("data-constrained", x, 8e9, 200e9, 10e9),
              loss("chinchilla", x, 8e9, 200e9, 10e9),
              1e-12);
}

TEST(DataConstrainedLaw, NeverCountsMoreThanUniqueTokensTimesOnePlusRdStar) {
  const double endless = 25e9 * (1 + 15.387756);
  EXPECT_NEAR(loss("data-constrained-data", kPublished, 1e9, 25e9 * 1e5, 25e9),
              loss("chinchilla", kPublished, 1e9, endless, endless),
              1e-12);
}

TEST(DataConstrainedLaw, LosesValueOfRepeatsAsPublished) {
  // ln D'/D at the published R_D*: effective share of 4 epochs is 0.93142 ("Scaling
  // Data-Constrained Language Models", 2023).
  const double tokens = 0.93142 * 4 * 25e9;
  EXPECT_NEAR(loss("data-constrained-data", kPublished, 1e9, 100e9, 25e9),
              loss("chinchilla", kPublished, 1e9, tokens, tokens),
              1e-5);
}

TEST(BaseTerms, GiveTheOptimumThatASearchFinds) {
  const BaseTerms base = {6.17, 7.67, 0.6, 0.347, 0.367};
  const double log_c6 = std::log(1e21 / 6);
  const auto log_loss = [&](double log_n) {
    return std::log(std::exp(base.log_a - base.alpha * log_n) +
                    std::exp(base.log_b - base.beta * (log_c6 - log_n)));
  };

  const double best = base.optimal_log_params(log_c6);

  EXPECT_LT(log_loss(best), log_loss(best + 1e-3));
  EXPECT_LT(log_loss(best), log_loss(best - 1e-3));
  EXPECT_NEAR(base.log_params_for_tokens(log_c6 - best), best, 1e-10);
}

TEST(BaseTerms, GiveThePublishedUnrepeatedParameters) {
  const BaseTerms base = {
      kPublished[0], kPublished[1], kPublished[2], kPublished[3], kPublished[4]};
  EXPECT_NEAR(std::exp(base.log_g()), 0.2258019434, 1e-9);
  EXPECT_NEAR(std::exp(base.log_params_for_tokens(std::log(25e9))), 1274662941.34, 10);
  EXPECT_NEAR(std::exp(base.log_params_for_tokens(std::log(178e9))), 9075600142.35, 100);
}

TEST(Laws, AreFoundByName) {
  EXPECT_EQ(find_law("chinchila"), nullptr);
  for (const std::string& name : law_names()) EXPECT_EQ(find_law(name)->name(), name);
}

}  // namespace
}  // namespace ration::fit
