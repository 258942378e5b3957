// L = E + A x^-alpha for one x: parameters, tokens, or compute C = 6 N D. With parameters and fixed
// data it is the asymptote of "Pre-training under infinite compute" (2025), whose floors, put in
// the place of losses, then follow the same law in unique tokens. In a table, --column params=NAME
// makes any column x.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

enum class Variable { params, tokens, compute };

using Role = Parameter::Role;
constexpr Parameter kScale = {"A", Scale::log, -20, 200, "scale of the falling term, nats a token"};
constexpr Parameter exponent(Role role, std::string_view meaning) {
  return {"alpha", Scale::linear, 1e-3, 4, meaning, role};
}
constexpr std::array<std::array<Parameter, 3>, 3> kParameters = {{
    {kScale,
     kTermParameters[2],
     exponent(Role::params_exponent, "how fast loss falls with parameters")},
    {kScale,
     kTermParameters[2],
     exponent(Role::tokens_exponent, "how fast loss falls with tokens")},
    {kScale,
     kTermParameters[2],
     exponent(Role::compute_exponent, "how fast loss falls with compute")},
}};

class PowerOffset final : public Law {
 public:
  explicit PowerOffset(Variable variable) : variable_(variable) {}

  std::string_view name() const override {
    return pick("power-params", "power-tokens", "power-compute");
  }
  std::string_view formula() const override {
    return pick("L = E + A N^-alpha", "L = E + A D^-alpha", "L = E + A C^-alpha, C = 6 N D");
  }
  std::string_view source() const override {
    return "Scaling Laws for Autoregressive Generative Modeling (2020)";
  }
  bool describes_repetition() const override { return false; }
  bool allocates() const override { return false; }
  std::span<const Parameter> parameters() const override {
    return kParameters[static_cast<std::size_t>(variable_)];
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const std::size_t n = points.size();
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      Block log_x;
      TwoTerms terms;
      for (std::size_t i = 0; i < size; ++i) {
        log_x[i] = log_variable(points, first + i);
        terms.share_first[i] = x[0] - x[2] * log_x[i];
        terms.share_second[i] = x[1];
      }
      terms.sum(size);
      std::copy_n(terms.log_sum.begin(), size, &log_loss[first]);
      if (jacobian.empty()) return;
      double* row = &jacobian[first];
      for (std::size_t i = 0; i < size; ++i) {
        row[i] = terms.share_first[i];
        row[n + i] = terms.share_second[i];
        row[2 * n + i] = -terms.share_first[i] * log_x[i];
      }
    });
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override {
    std::vector<Coordinates> all;
    std::vector<std::vector<double>> columns(2, std::vector<double>(points.size()));
    for (const double alpha : {0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 1.2, 2.0, 3.0}) {
      for (std::size_t i = 0; i < points.size(); ++i)
        columns[0][i] = -alpha * log_variable(points, i);
      const LinearStart start = linear_start(columns, log_loss);
      all.push_back({start.log_scales[0], start.log_scales[1], alpha});
    }
    return all;
  }

 private:
  std::string_view pick(std::string_view params,
                        std::string_view tokens,
                        std::string_view compute) const {
    if (variable_ == Variable::compute) return compute;
    return variable_ == Variable::params ? params : tokens;
  }
  double log_variable(const Points& points, std::size_t i) const {
    constexpr double kLog6 = 1.791759469228055;
    if (variable_ == Variable::params) return points.log_params[i];
    if (variable_ == Variable::tokens) return points.log_tokens[i];
    return kLog6 + points.log_params[i] + points.log_tokens[i];
  }

  Variable variable_;
};

}  // namespace

const Law& power_params() {
  static const PowerOffset law(Variable::params);
  return law;
}

const Law& power_tokens() {
  static const PowerOffset law(Variable::tokens);
  return law;
}

const Law& power_compute() {
  static const PowerOffset law(Variable::compute);
  return law;
}

}  // namespace ration::fit
