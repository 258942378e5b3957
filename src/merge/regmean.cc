// RegMean: a linear layer y = x W^T that is nearest to all models on their own inputs:
// W^T = (sum G_i)^-1 sum G_i W_i^T with the Gram matrices G_i = X_i^T X_i, off-diagonal entries
// times alpha. Other tensors are averaged.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "merge/cholesky.h"
#include "merge/numbers.h"
#include "merge/operator.h"

namespace ration::merge {
namespace {

constexpr double kAsymmetry = 1e-4;  // of f32 sums in other orders, and to spare
constexpr double kRidge = 1e-6;      // times the mean of the diagonal, where the sum is singular

class RegMean final : public Operator {
 public:
  RegMean(const Recipe& recipe, int threads)
      : recipe_(recipe), threads_(threads), average_(make_weighted(average_of(recipe), false)) {}

  Result<void> begin(const Tensor& tensor) override {
    solution_.clear();
    if (tensor.statistics.empty() || tensor.count == 0) return {};
    const std::size_t out = tensor.out.shape[0], in = tensor.out.shape[1];
    std::vector<double> gram(in * in), sum(in * in), right(in * out);
    for (std::size_t i = 0; i < tensor.models.size(); ++i) {
      load(tensor.statistics[i], 0, state_, gram);
      if (state_.finite && !symmetric(gram, in))
        return Error{.kind = ErrorKind::input,
                     .what = fmt::format("the Gram matrix of tensor \"{}\" in the statistics of {} "
                                         "is not symmetric",
                                         tensor.out.name,
                                         tensor.statistics[i].model),
                     .hint = "it is no product of inputs with themselves; collect it again"};
      for (std::size_t r = 0; r < in; ++r)
        for (std::size_t c = 0; c < in; ++c)
          if (r != c) gram[r * in + c] *= recipe_.alpha;
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += gram[j];
      add_products(tensor, i, gram, right, out, in);
    }
    if (!state_.finite) return refuse_number(tensor, 0, false);
    if (Result<void> done = solve_with(tensor, sum, right, out, in); !done) return done;
    solution_.resize(out * in);
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t c = 0; c < in; ++c) solution_[o * in + c] = right[c * out + o];
    return {};
  }

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    if (solution_.empty()) return average_->merge(tensor, first, scratch, out);
    std::copy_n(solution_.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  }

 private:
  // But for rounding, against sqrt(G_rr G_cc), which bounds what an entry can be.
  static bool symmetric(std::span<const double> gram, std::size_t in) {
    for (std::size_t r = 0; r < in; ++r)
      for (std::size_t c = 0; c < r; ++c) {
        const double above = gram[c * in + r], below = gram[r * in + c];
        const double bound = std::sqrt(std::fabs(gram[r * in + r] * gram[c * in + c]));
        if (std::fabs(above - below) > kAsymmetry * bound) return false;
      }
    return true;
  }

  static Recipe average_of(Recipe recipe) {
    recipe.method = "average";
    return recipe;
  }

  // right [in, out] += G W^T
  void add_products(const Tensor& tensor,
                    std::size_t model,
                    std::span<const double> gram,
                    std::span<double> right,
                    std::size_t out,
                    std::size_t in) {
    std::vector<double> weights(out * in), transposed(in * out);
    load(tensor.models[model], 0, state_, weights);
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t c = 0; c < in; ++c) transposed[c * out + o] = weights[o * in + c];
    parallel_for(in, threads_, [&](std::size_t r) {
      double* const to = right.data() + r * out;
      for (std::size_t c = 0; c < in; ++c) {
        const double factor = gram[r * in + c];
        const double* const from = transposed.data() + c * out;
        for (std::size_t o = 0; o < out; ++o) to[o] += factor * from[o];
      }
    });
  }

  Result<void> solve_with(const Tensor& tensor,
                          const std::vector<double>& sum,
                          std::span<double> right,
                          std::size_t out,
                          std::size_t in) {
    std::vector<double> factor = sum;
    bool positive = cholesky(factor, in, threads_);
    if (!positive) {
      double trace = 0;
      for (std::size_t r = 0; r < in; ++r) trace += sum[r * in + r];
      factor = sum;
      for (std::size_t r = 0; r < in; ++r)
        factor[r * in + r] += kRidge * trace / static_cast<double>(in);
      positive = cholesky(factor, in, threads_);
      warnings.push_back(
          fmt::format("tensor \"{}\": the Gram matrices are singular; {} of the mean "
                      "diagonal was added",
                      tensor.out.name,
                      kRidge));
    }
    if (!positive)
      return Error{
          .kind = ErrorKind::input,
          .what = fmt::format("the Gram matrices of tensor \"{}\" are not positive definite",
                              tensor.out.name),
          .hint = "collect them over more inputs"};
    solve(factor, in, right, out, threads_);
    return {};
  }

  Recipe recipe_;
  int threads_;
  std::unique_ptr<Operator> average_;
  Scratch state_;
  std::vector<double> solution_;  // [out, in]; empty = the tensor is averaged
};

}  // namespace

std::unique_ptr<Operator> make_regmean(const Recipe& recipe, int threads) {
  return std::make_unique<RegMean>(recipe, threads);
}

}  // namespace ration::merge
