// L = ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d, without a floor ("Scaling Laws for Neural Language
// Models", 2020).

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr std::array<Parameter, 4> kParameters = {{
    {"nc", Scale::log, -20, 700, "parameters at which their term alone gives a loss of 1 nat"},
    {"dc", Scale::log, -20, 700, "tokens at which their term alone gives a loss of 1 nat"},
    {"alpha_n",
     Scale::linear,
     1e-3,
     4,
     "how fast loss falls with parameters",
     Parameter::Role::params_exponent},
    {"alpha_d",
     Scale::linear,
     1e-3,
     4,
     "how fast loss falls with tokens",
     Parameter::Role::tokens_exponent},
}};

class JointDecay final : public Law {
 public:
  std::string_view name() const override { return "joint-decay"; }
  std::string_view formula() const override {
    return "L = ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d";
  }
  std::string_view source() const override {
    return "Scaling Laws for Neural Language Models (2020)";
  }
  bool describes_repetition() const override { return false; }
  std::span<const Parameter> parameters() const override { return kParameters; }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const double alpha_n = x[2];
    const double alpha_d = x[3];
    const std::size_t n = points.size();
    const double ratio = alpha_n / alpha_d;
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      Block params;
      TwoTerms sum;
      for (std::size_t i = 0; i < size; ++i) {
        params[i] = x[0] - points.log_params[first + i];
        sum.share_first[i] = ratio * params[i];
        sum.share_second[i] = x[1] - points.log_tokens[first + i];
      }
      sum.sum(size);
      for (std::size_t i = 0; i < size; ++i) log_loss[first + i] = alpha_d * sum.log_sum[i];
      if (jacobian.empty()) return;
      double* row = &jacobian[first];
      for (std::size_t i = 0; i < size; ++i) {
        row[i] = alpha_n * sum.share_first[i];
        row[n + i] = alpha_d * sum.share_second[i];
        row[2 * n + i] = sum.share_first[i] * params[i];
        row[3 * n + i] = sum.log_sum[i] - ratio * sum.share_first[i] * params[i];
      }
    });
  }

  // Given both exponents, L^(1/alpha_d) is linear in Nc^(alpha_n/alpha_d) and Dc.
  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override {
    std::vector<Coordinates> all;
    std::vector<std::vector<double>> columns(2, std::vector<double>(points.size()));
    std::vector<double> target(points.size());
    for (const double alpha_n : {0.03, 0.06, 0.1, 0.15, 0.25, 0.4, 0.7})
      for (const double alpha_d : {0.03, 0.06, 0.1, 0.15, 0.25, 0.4, 0.7}) {
        for (std::size_t i = 0; i < points.size(); ++i) {
          columns[0][i] = -alpha_n / alpha_d * points.log_params[i];
          columns[1][i] = -points.log_tokens[i];
          target[i] = log_loss[i] / alpha_d;
        }
        const LinearStart start = linear_start(columns, target);
        all.push_back(
            {start.log_scales[0] * alpha_d / alpha_n, start.log_scales[1], alpha_n, alpha_d});
      }
    return all;
  }
};

}  // namespace

const Law& joint_decay() {
  static const JointDecay law;
  return law;
}

}  // namespace ration::fit
