// L = E + (A N^-alpha + B D^-beta)^k, on all tokens seen. k = 1 is chinchilla, and for any k the
// best allocation of a budget is chinchilla's, since the power keeps the order of its argument. The
// form is known from a survey ("Skaling", 2026), not checked against the work itself.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr std::array<Parameter, 6> kParameters = {kTermParameters[0],
                                                  kTermParameters[1],
                                                  kTermParameters[2],
                                                  kTermParameters[3],
                                                  kTermParameters[4],
                                                  kOuterExponent};

class OuterExponent final : public Law {
 public:
  std::string_view name() const override { return "outer-exponent"; }
  std::string_view formula() const override { return "L = E + (A N^-alpha + B D^-beta)^k"; }
  std::string_view source() const override { return "Skaling (2026), form read in a survey"; }
  bool describes_repetition() const override { return false; }
  std::span<const Parameter> parameters() const override { return kParameters; }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const double outer = std::exp(x[5]);
    const std::size_t n = points.size();
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      const double* log_n = &points.log_params[first];
      const double* log_d = &points.log_tokens[first];
      ThreeTerms terms;
      for (std::size_t i = 0; i < size; ++i) {
        terms.share_params[i] = x[0] - x[3] * log_n[i];
        terms.share_tokens[i] = x[1] - x[4] * log_d[i];
      }
      terms.sum_outer(size, x[2], outer);
      std::copy_n(terms.log_loss.begin(), size, &log_loss[first]);
      if (jacobian.empty()) return;
      double* row = &jacobian[first];
      for (std::size_t i = 0; i < size; ++i) {
        row[i] = terms.share_params[i];
        row[n + i] = terms.share_tokens[i];
        row[2 * n + i] = terms.share_floor[i];
        row[3 * n + i] = -terms.share_params[i] * log_n[i];
        row[4 * n + i] = -terms.share_tokens[i] * log_d[i];
        row[5 * n + i] = terms.by_log_outer[i];
      }
    });
  }

  // chinchilla's starts, and those whose single terms they equal under another k.
  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override {
    std::vector<Coordinates> all;
    for (const TermStart& start :
         exponent_starts(points.log_params, points.log_tokens, log_loss, false))
      for (const double k : {1.0, 0.7, 1.5}) {
        Coordinates x = start.coordinates(false);
        for (const std::size_t j : {0, 1, 3, 4}) x[j] /= k;
        x.push_back(std::log(k));
        all.push_back(std::move(x));
      }
    return all;
  }
};

}  // namespace

const Law& outer_exponent() {
  static const OuterExponent law;
  return law;
}

}  // namespace ration::fit
