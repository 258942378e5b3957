// Robust means, coordinate by coordinate: median and trimmed mean. What one model of several says
// moves them by no more than the others differ (Yin et al.: Byzantine-Robust Distributed Learning;
// 2018). Both are the same of the models as of their task vectors.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "merge/operator.h"

namespace ration::merge {
namespace {

// The mean of the numbers from place `begin` to `end` - 1 in order of size.
class Middle final : public Operator {
 public:
  Middle(std::size_t begin, std::size_t end, std::size_t models)
      : begin_(begin), end_(end), models_(models) {}

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    std::vector<std::span<double>> numbers;
    for (std::size_t i = 0; i < models_; ++i) {
      numbers.push_back(scratch.array(i, out.size()));
      load(tensor.models[i], first, scratch, numbers.back());
    }
    std::vector<double> sorted(models_);
    for (std::size_t j = 0; j < out.size(); ++j) {
      for (std::size_t i = 0; i < models_; ++i) sorted[i] = numbers[i][j];
      // NaN has no place in an order; it was noted, and the merge ends.
      if (scratch.finite) std::sort(sorted.begin(), sorted.end());
      out[j] = mean(sorted);
    }
  }

 private:
  double mean(const std::vector<double>& sorted) const {
    const auto from = sorted.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto to = sorted.begin() + static_cast<std::ptrdiff_t>(end_);
    if (end_ - begin_ == 1) return *from;  // bit for bit, the sign of a zero, too
    return std::accumulate(from, to, 0.0) / static_cast<double>(end_ - begin_);
  }

  std::size_t begin_;
  std::size_t end_;
  std::size_t models_;
};

}  // namespace

std::unique_ptr<Operator> make_middle(const Recipe& recipe) {
  const std::size_t n = recipe.models.size();
  std::size_t left_out = (n - 1) / 2;
  if (recipe.method == "trimmed_mean")
    left_out = static_cast<std::size_t>(recipe.cut * static_cast<double>(n) + 1e-9);
  return std::make_unique<Middle>(left_out, n - left_out, n);
}

}  // namespace ration::merge
