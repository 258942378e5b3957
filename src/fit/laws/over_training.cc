// L = E + (p M^eta + q M^-eta) C^-eta with M = D/N tokens per parameter and C = 6 N D ("Language
// models scale reliably with over-training and on downstream tasks", 2024). The same curve as
// chinchilla-tied with alpha = 2 eta, A = p 6^-eta and B = q 6^-eta: for each M a power law in
// compute with one exponent.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr double kLog6 = 1.791759469228055;

constexpr std::array<Parameter, 4> kParameters = {{
    {"p", Scale::log, -20, 60, "scale of the term that rises with tokens per parameter, nats"},
    {"q", Scale::log, -20, 60, "scale of the term that falls with tokens per parameter, nats"},
    kTermParameters[2],
    {"eta",
     Scale::linear,
     5e-4,
     2,
     "how fast loss falls with compute at fixed tokens per parameter",
     Parameter::Role::shared_exponent},
}};

class OverTraining final : public Law {
 public:
  std::string_view name() const override { return "over-training"; }
  std::string_view formula() const override {
    return "L = E + (p M^eta + q M^-eta) C^-eta, M = D/N, C = 6 N D";
  }
  std::string_view source() const override {
    return "Language models scale reliably with over-training and on downstream tasks (2024)";
  }
  bool describes_repetition() const override { return false; }
  std::span<const Parameter> parameters() const override { return kParameters; }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const double eta = x[3];
    const std::size_t n = points.size();
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      ThreeTerms terms;
      Block by_params, by_tokens;  // d ln term / d eta
      for (std::size_t i = 0; i < size; ++i) {
        const double log_m = points.log_tokens[first + i] - points.log_params[first + i];
        const double log_c = kLog6 + points.log_tokens[first + i] + points.log_params[first + i];
        by_params[i] = log_m - log_c;
        by_tokens[i] = -(log_m + log_c);
        terms.share_params[i] = x[0] + eta * by_params[i];
        terms.share_tokens[i] = x[1] + eta * by_tokens[i];
      }
      terms.sum(size, x[2]);
      std::copy_n(terms.log_loss.begin(), size, &log_loss[first]);
      if (jacobian.empty()) return;
      double* row = &jacobian[first];
      for (std::size_t i = 0; i < size; ++i) {
        row[i] = terms.share_params[i];
        row[n + i] = terms.share_tokens[i];
        row[2 * n + i] = terms.share_floor[i];
        row[3 * n + i] =
            terms.share_params[i] * by_params[i] + terms.share_tokens[i] * by_tokens[i];
      }
    });
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override {
    std::vector<Coordinates> all;
    for (const TermStart& start :
         exponent_starts(points.log_params, points.log_tokens, log_loss, true)) {
      const double eta = start.terms.alpha / 2;
      all.push_back({start.terms.log_a + eta * kLog6,
                     start.terms.log_b + eta * kLog6,
                     start.terms.log_e,
                     eta});
    }
    return all;
  }
};

}  // namespace

const Law& over_training() {
  static const OverTraining law;
  return law;
}

}  // namespace ration::fit
