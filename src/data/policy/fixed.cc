#include <numeric>

#include "data/policy/policies.h"

namespace ration::data {
namespace {

class Fixed final : public Policy {
 public:
  explicit Fixed(const PolicyOptions& options)
      : Policy(options.weights.size()),
        share_(options.weights),
        counts_(options.weights.size(), 0),
        quota_(options.quota) {
    const double sum = std::accumulate(share_.begin(), share_.end(), 0.0);
    for (double& share : share_) share /= sum;
  }

  void observe(std::size_t, double) override {}
  void end_step() override {}

 private:
  void open_probs(std::span<double> p) const override {
    std::copy(share_.begin(), share_.end(), p.begin());
  }

  std::size_t choose(std::span<const double> p, double uniform) const override {
    if (!quota_) return Policy::choose(p, uniform);
    const double pulls = std::accumulate(counts_.begin(), counts_.end(), 1.0);
    std::size_t best = arms();
    double largest = 0;
    for (std::size_t arm = 0; arm < arms(); ++arm) {
      if (!is_open(arm)) continue;
      const double deficit = p[arm] * pulls - static_cast<double>(counts_[arm]);
      if (best == arms() || deficit > largest) best = arm, largest = deficit;
    }
    return best;
  }

  void pulled(const Draw& draw) override { ++counts_[draw.arm]; }
  // The shares are others from here on, so counting begins anew.
  void closed() override { counts_.assign(arms(), 0); }
  Json own_state() const override { return {{"counts", counts_}}; }
  void load_own(const Json& state) override { state.at("counts").get_to(counts_); }

  std::vector<double> share_;
  std::vector<std::int64_t> counts_;  // pulls since an arm was last closed
  bool quota_;
};

}  // namespace

std::unique_ptr<Policy> make_fixed_policy(const PolicyOptions& options) {
  return std::make_unique<Fixed>(options);
}

}  // namespace ration::data
