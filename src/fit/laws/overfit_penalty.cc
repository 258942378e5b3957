// Repetition as an added loss: L = E + A N^-alpha + B D^-beta + Q with Q = P R_D^d (N/U)^k
// ("Prescriptive Scaling Laws for Data Constrained Training", 2026; the form is known from two
// surveys, not checked against the work itself). Variants:
//   overfit-penalty-linear   d = k = 1
//   saturating-penalty       S (1 - exp(-Q/S)) in place of Q, with d = k = 1: a penalty that never
//                            exceeds S. Without a ceiling the law explodes beyond the repeats that
//                            were fitted.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

enum class Form { general, linear, saturating };

using Role = Parameter::Role;
constexpr Parameter kPenalty = {
    "P", Scale::log, -60, 20, "penalty at one repeat and N = U, nats a token", Role::penalty};

constexpr std::array<Parameter, 8> kGeneral = {
    kTermParameters[0],
    kTermParameters[1],
    kTermParameters[2],
    kTermParameters[3],
    kTermParameters[4],
    kPenalty,
    {"d", Scale::log, -4, 2.5, "how fast the penalty grows with repeats", Role::penalty},
    {"k", Scale::log, -4, 2.5, "how fast the penalty grows with N/U", Role::penalty}};

constexpr std::array<Parameter, 7> kSaturating = {
    kTermParameters[0],
    kTermParameters[1],
    kTermParameters[2],
    kTermParameters[3],
    kTermParameters[4],
    kPenalty,
    {"S", Scale::log, -7, 7, "ceiling of the penalty, nats a token", Role::penalty}};

// ln of the penalty and its derivatives.
struct Penalty {
  Block log_value;
  Block by_log_q;        // by ln Q
  Block by_log_ceiling;  // by ln S
};

// S (1 - exp(-Q/S)) in place of the Q in log_value.
void saturate(Penalty& penalty, std::size_t size, double log_ceiling) {
  constexpr double kFull = 40;  // exp(-40) is lost beside 1
  Block t;
  for (std::size_t i = 0; i < size; ++i) t[i] = std::min(penalty.log_value[i] - log_ceiling, 5.0);
  exp_all(head(t, size), head(t, size));
  Block gained;
  for (std::size_t i = 0; i < size; ++i) gained[i] = -t[i];
  expm1_all(head(gained, size), head(gained, size));
  Block log_gained;
  for (std::size_t i = 0; i < size; ++i) log_gained[i] = std::max(-gained[i], 1e-300);
  log_all(head(log_gained, size), head(log_gained, size));
  for (std::size_t i = 0; i < size; ++i) {
    if (t[i] < 1e-12) continue;  // far below the ceiling
    const double slope = t[i] > kFull ? 0 : t[i] * (1 + gained[i]) / -gained[i];
    penalty.log_value[i] = log_ceiling + log_gained[i];
    penalty.by_log_q[i] = slope;
    penalty.by_log_ceiling[i] = 1 - slope;
  }
}

class OverfitPenalty final : public Law {
 public:
  explicit OverfitPenalty(Form form) : form_(form) {}

  std::string_view name() const override {
    if (form_ == Form::general) return "overfit-penalty";
    return form_ == Form::linear ? "overfit-penalty-linear" : "saturating-penalty";
  }
  std::string_view formula() const override {
    if (form_ == Form::general) return "L = E + A N^-alpha + B D^-beta + P R_D^d (N/U)^k";
    return form_ == Form::linear ? "L = E + A N^-alpha + B D^-beta + P R_D N/U"
                                 : "L = E + A N^-alpha + B D^-beta + S (1 - exp(-P R_D N/U / S))";
  }
  std::string_view source() const override {
    return form_ == Form::saturating ? "this project, after Prescriptive Scaling Laws for Data "
                                       "Constrained Training (2026)"
                                     : "Prescriptive Scaling Laws for Data Constrained Training "
                                       "(2026), form read in surveys";
  }
  bool describes_repetition() const override { return true; }
  std::span<const Parameter> parameters() const override {
    if (form_ == Form::saturating) return kSaturating;
    return std::span(kGeneral).first(form_ == Form::general ? 8 : 6);
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const double d = form_ == Form::general ? std::exp(x[6]) : 1;
    const double k = form_ == Form::general ? std::exp(x[7]) : 1;
    const std::size_t n = points.size();
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      const double* log_n = &points.log_params[first];
      const double* log_d = &points.log_tokens[first];
      const double* repeats = &points.repeats[first];
      ThreeTerms base;
      Block log_repeats, log_ratio;
      for (std::size_t i = 0; i < size; ++i) {
        base.share_params[i] = x[0] - x[3] * log_n[i];
        base.share_tokens[i] = x[1] - x[4] * log_d[i];
        log_repeats[i] = repeats[i] > 0 ? repeats[i] : 1;
        log_ratio[i] = log_n[i] - points.log_unique[first + i];
      }
      base.sum(size, x[2]);
      log_all(head(log_repeats, size), head(log_repeats, size));

      Penalty penalty;
      for (std::size_t i = 0; i < size; ++i) {
        penalty.log_value[i] = x[5] + d * log_repeats[i] + k * log_ratio[i];
        penalty.by_log_q[i] = 1;
        penalty.by_log_ceiling[i] = 0;
      }
      if (form_ == Form::saturating) saturate(penalty, size, x[6]);
      constexpr double kNone = -1e6;  // ln of no penalty
      TwoTerms whole;
      for (std::size_t i = 0; i < size; ++i) {
        whole.share_first[i] = base.log_loss[i];
        whole.share_second[i] = repeats[i] > 0 ? penalty.log_value[i] : kNone;
      }
      whole.sum(size);
      std::copy_n(whole.log_sum.begin(), size, &log_loss[first]);
      if (jacobian.empty()) return;
      double* row = &jacobian[first];
      for (std::size_t i = 0; i < size; ++i) {
        const double keep = whole.share_first[i];
        const double by_log_q = whole.share_second[i] * penalty.by_log_q[i];
        row[i] = keep * base.share_params[i];
        row[n + i] = keep * base.share_tokens[i];
        row[2 * n + i] = keep * base.share_floor[i];
        row[3 * n + i] = -keep * base.share_params[i] * log_n[i];
        row[4 * n + i] = -keep * base.share_tokens[i] * log_d[i];
        row[5 * n + i] = by_log_q;
        if (form_ == Form::saturating)
          row[6 * n + i] = whole.share_second[i] * penalty.by_log_ceiling[i];
        if (form_ != Form::general) continue;
        row[6 * n + i] = by_log_q * d * log_repeats[i];
        row[7 * n + i] = by_log_q * k * log_ratio[i];
      }
    });
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override;

 private:
  Form form_;
};

// Given all exponents the law is linear in E, A, B and P. For each pair (d, k) the best few of a
// grid over (alpha, beta) are kept.
std::vector<Coordinates> OverfitPenalty::starts(const Points& points,
                                                std::span<const double> log_loss) const {
  constexpr std::array<double, 7> kExponents = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};
  constexpr std::size_t kKept = 3;
  const std::vector<double> shapes =
      form_ == Form::general ? std::vector<double>{0.3, 0.7, 1.0, 1.5} : std::vector<double>{1.0};
  const std::size_t n = points.size();
  std::vector<std::vector<double>> columns(4, std::vector<double>(n, 0.0));  // E, A, B, P
  struct Candidate {
    Coordinates x;
    double squared_error;
  };
  std::vector<Coordinates> all;
  for (const double d : shapes)
    for (const double k : shapes) {
      for (std::size_t i = 0; i < n; ++i)
        columns[3][i] = points.repeats[i] > 0
                            ? d * std::log(points.repeats[i]) +
                                  k * (points.log_params[i] - points.log_unique[i])
                            : -HUGE_VAL;
      std::vector<Candidate> candidates;
      for (const double alpha : kExponents)
        for (const double beta : kExponents) {
          for (std::size_t i = 0; i < n; ++i) {
            columns[1][i] = -alpha * points.log_params[i];
            columns[2][i] = -beta * points.log_tokens[i];
          }
          const LinearStart start = linear_start(columns, log_loss);
          const std::vector<double>& c = start.log_scales;
          candidates.push_back({{c[1], c[2], c[0], alpha, beta, c[3]}, start.squared_error});
        }
      std::stable_sort(
          candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
            return a.squared_error < b.squared_error;
          });
      const std::size_t kept = form_ == Form::general ? kKept : 4 * kKept;
      for (std::size_t c = 0; c < kept; ++c) {
        Coordinates& x = candidates[c].x;
        if (form_ == Form::general) x.insert(x.end(), {std::log(d), std::log(k)});
        if (form_ != Form::saturating) {
          all.push_back(std::move(x));
          continue;
        }
        for (const double ceiling : {0.05, 0.2, 1.0, 5.0}) {
          all.push_back(x);
          all.back().push_back(std::log(ceiling));
        }
      }
    }
  return all;
}

}  // namespace

const Law& overfit_penalty() {
  static const OverfitPenalty law(Form::general);
  return law;
}

const Law& overfit_penalty_linear() {
  static const OverfitPenalty law(Form::linear);
  return law;
}

const Law& saturating_penalty() {
  static const OverfitPenalty law(Form::saturating);
  return law;
}

}  // namespace ration::fit
