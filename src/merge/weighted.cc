// Weighted sums of the models themselves: average, weighted, linear, ema; and how a method reads
// its inputs.

#include <cmath>
#include <limits>

#include "merge/numbers.h"
#include "merge/operator.h"

namespace ration::merge {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Weighted final : public Operator {
 public:
  Weighted(std::vector<double> weights, double base_weight, double divisor)
      : weights_(std::move(weights)), base_weight_(base_weight), divisor_(divisor) {}

  bool reads_base() const override { return base_weight_ != 0; }

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    bool begun = false;
    const auto add = [&](const Source& source, double weight) {
      if (weight == 0) return look(source, first, scratch, out.size());
      add_scaled(tensor.dtype, source.bytes, first, weight, !begun, out);
      begun = true;
    };
    if (tensor.base.bytes != nullptr && base_weight_ != 0) add(tensor.base, base_weight_);
    for (std::size_t i = 0; i < weights_.size(); ++i) add(tensor.models[i], weights_[i]);
    if (!begun) std::fill(out.begin(), out.end(), 0.0);
    if (divisor_ != 1)
      for (double& number : out) number /= divisor_;
  }

 private:
  // A model of weight 0 changes nothing, and must be finite like the others.
  static void look(const Source& source, std::uint64_t first, Scratch& scratch, std::size_t count) {
    load(source, first, scratch, scratch.array(0, count));
  }

  std::vector<double> weights_;
  double base_weight_;
  double divisor_;
};

}  // namespace

void load(const Source& source, std::uint64_t first, Scratch& scratch, std::span<double> to) {
  widen(source.info->dtype, source.bytes, first, to);
  if (!all_below(to, kInfinity)) scratch.finite = false;
}

void load_tau(const Tensor& tensor,
              std::size_t model,
              std::uint64_t first,
              Scratch& scratch,
              std::span<double> to) {
  difference(tensor.dtype, tensor.models[model].bytes, tensor.base.bytes, first, to);
  if (!all_below(to, kInfinity)) scratch.finite = false;
}

std::unique_ptr<Operator> make_weighted(const Recipe& recipe, bool has_base) {
  const std::size_t n = recipe.models.size();
  std::vector<double> weights = recipe.weights.empty() ? std::vector<double>(n, 1) : recipe.weights;
  if (recipe.method == "average") weights.assign(n, 1);
  if (recipe.method == "ema")
    for (std::size_t j = 0; j < n; ++j)
      weights[j] = std::pow(recipe.decay, static_cast<double>(n - 1 - j));
  double sum = 0;
  for (const double weight : weights) sum += weight;
  if (recipe.method == "linear")
    return std::make_unique<Weighted>(std::move(weights), has_base ? 1 - sum : 0, 1);
  return std::make_unique<Weighted>(std::move(weights), 0, sum);
}

}  // namespace ration::merge
