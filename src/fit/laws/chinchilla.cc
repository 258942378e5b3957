// L = E + A N^-alpha + B D^-beta on all tokens seen, a repeated token counting as much as a fresh
// one
// ("Training Compute-Optimal Large Language Models", 2022), with free exponents or with alpha =
// beta.

#include "fit/laws/laws.h"
#include "fit/laws/three_terms.h"
#include "fit/starts.h"

namespace ration::fit {
namespace {

constexpr std::array<Parameter, 4> kTied = {
    kTermParameters[0], kTermParameters[1], kTermParameters[2], kTiedExponent};

class Chinchilla final : public Law {
 public:
  explicit Chinchilla(bool tied) : tied_(tied) {}

  std::string_view name() const override { return tied_ ? "chinchilla-tied" : "chinchilla"; }
  std::string_view formula() const override {
    return tied_ ? "L = E + A N^-alpha + B D^-alpha" : "L = E + A N^-alpha + B D^-beta";
  }
  std::string_view source() const override {
    return "Training Compute-Optimal Large Language Models (2022)";
  }
  bool describes_repetition() const override { return false; }
  std::span<const Parameter> parameters() const override {
    return tied_ ? std::span<const Parameter>(kTied) : std::span<const Parameter>(kTermParameters);
  }

  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> log_loss,
                std::span<double> jacobian) const override {
    const BaseTerms base = {x[0], x[1], x[2], x[3], tied_ ? x[3] : x[4]};
    const std::size_t n = points.size();
    for_blocks(n, [&](std::size_t first, std::size_t size) {
      const double* log_n = &points.log_params[first];
      const double* log_d = &points.log_tokens[first];
      ThreeTerms terms;
      for (std::size_t i = 0; i < size; ++i) {
        terms.share_params[i] = base.log_a - base.alpha * log_n[i];
        terms.share_tokens[i] = base.log_b - base.beta * log_d[i];
      }
      terms.sum(size, base.log_e);
      std::copy_n(terms.log_loss.begin(), size, &log_loss[first]);
      if (jacobian.empty()) return;
      const auto fill = [&](std::size_t column, const auto& value) {
        double* out = &jacobian[column * n + first];
        for (std::size_t i = 0; i < size; ++i) out[i] = value(i);
      };
      const auto d_alpha = [&](std::size_t i) { return -terms.share_params[i] * log_n[i]; };
      const auto d_beta = [&](std::size_t i) { return -terms.share_tokens[i] * log_d[i]; };
      fill(0, [&](std::size_t i) { return terms.share_params[i]; });
      fill(1, [&](std::size_t i) { return terms.share_tokens[i]; });
      fill(2, [&](std::size_t i) { return terms.share_floor[i]; });
      if (tied_) {
        fill(3, [&](std::size_t i) { return d_alpha(i) + d_beta(i); });
      } else {
        fill(3, d_alpha);
        fill(4, d_beta);
      }
    });
  }

  std::vector<Coordinates> starts(const Points& points,
                                  std::span<const double> log_loss) const override {
    std::vector<Coordinates> all;
    for (const TermStart& start :
         exponent_starts(points.log_params, points.log_tokens, log_loss, tied_))
      all.push_back(start.coordinates(tied_));
    return all;
  }

  // 5 x 5 x 5 x 6 x 6 of "Training Compute-Optimal Large Language Models" (2022); with tied
  // exponents the 4 x 4 x 5 x 5 of "Scaling Data-Constrained Language Models" (2023).
  std::vector<Coordinates> published_starts() const override {
    using Values = std::vector<double>;
    const Values alphas = tied_ ? Values{0, 2 / 3.0, 4 / 3.0, 2} : Values{0, 0.5, 1, 1.5, 2};
    const Values betas = tied_ ? Values{0} : alphas;
    const Values floors = tied_ ? Values{-1, -1 / 3.0, 1 / 3.0, 1} : Values{-1, -0.5, 0, 0.5, 1};
    const Values scales = tied_ ? Values{0, 6.25, 12.5, 18.75, 25} : Values{0, 5, 10, 15, 20, 25};
    std::vector<Coordinates> all;
    for (const double alpha : alphas)
      for (const double beta : betas)
        for (const double e : floors)
          for (const double a : scales)
            for (const double b : scales) {
              all.push_back({a, b, e, alpha});
              if (!tied_) all.back().push_back(beta);
            }
    return all;
  }

 private:
  bool tied_;
};

}  // namespace

const Law& chinchilla() {
  static const Chinchilla law(false);
  return law;
}

const Law& chinchilla_tied() {
  static const Chinchilla law(true);
  return law;
}

}  // namespace ration::fit
