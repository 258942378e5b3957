// Fisher-weighted averages: sum w_i F_i theta_i / sum w_i F_i, element by element.

#include <fmt/format.h>

#include <cmath>

#include "merge/numbers.h"
#include "merge/operator.h"

namespace ration::merge {
namespace {

class Fisher final : public Operator {
 public:
  Fisher(const Recipe& recipe, int threads)
      : recipe_(recipe),
        threads_(threads),
        weights_(recipe.weights.empty() ? std::vector<double>(recipe.models.size(), 1)
                                        : recipe.weights),
        scales_(weights_.size(), 1) {}

  // With `norm`, each model's F is divided by its Euclidean norm over all tensors.
  Result<void> prepare(const Layout& layout) override {
    if (!recipe_.norm) return {};
    std::vector<double> squares(weights_.size());
    for (const Tensor& tensor : layout.tensors) {
      if (!tensor.merged) continue;
      Result<std::vector<Sums>> sums = sums_of(tensor);
      if (!sums) return std::move(sums).error();
      for (std::size_t i = 0; i < squares.size(); ++i) squares[i] += (*sums)[i].squares;
    }
    for (std::size_t i = 0; i < scales_.size(); ++i)
      scales_[i] = squares[i] > 0 ? 1 / std::sqrt(squares[i]) : 0;
    return {};
  }

  Result<void> begin(const Tensor& tensor) override {
    Result<std::vector<Sums>> sums = sums_of(tensor);
    if (!sums) return std::move(sums).error();
    double total = 0;
    for (std::size_t i = 0; i < scales_.size(); ++i) total += scales_[i] * (*sums)[i].plain;
    const double numbers = static_cast<double>(tensor.count) * static_cast<double>(scales_.size());
    floor_ = numbers > 0 ? recipe_.floor * total / numbers : 0;
    return {};
  }

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    const std::size_t count = out.size();
    const std::span<double> divisor = scratch.array(0, count);
    const std::span<double> information = scratch.array(1, count);
    const std::span<double> numbers = scratch.array(2, count);
    const std::span<double> mean = scratch.array(3, count);
    std::fill(out.begin(), out.end(), 0.0);
    std::fill(divisor.begin(), divisor.end(), 0.0);
    std::fill(mean.begin(), mean.end(), 0.0);
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      load(tensor.models[i], first, scratch, numbers);
      load(tensor.statistics[i], first, scratch, information);
      for (std::size_t j = 0; j < count; ++j) {
        const double weight = weights_[i] * (scales_[i] * information[j] + floor_);
        out[j] += weight * numbers[j];
        divisor[j] += weight;
        mean[j] += numbers[j];
      }
    }
    const auto models = static_cast<double>(weights_.size());
    for (std::size_t j = 0; j < count; ++j)
      out[j] = divisor[j] > 0 ? out[j] / divisor[j] : mean[j] / models;
  }

 private:
  struct Sums {
    double plain = 0, squares = 0;
    bool negative = false;
  };

  // Sums of each model's F over a tensor, piece by piece in order.
  Result<std::vector<Sums>> sums_of(const Tensor& tensor) {
    const std::vector<Piece> pieces = pieces_of(tensor);
    const std::size_t models = weights_.size();
    std::vector<Sums> parts(pieces.size() * models);
    std::vector<Scratch> states(static_cast<std::size_t>(thread_count(threads_)));
    for_pieces(pieces.size(), std::span(states), [&](std::size_t p, Scratch& scratch) {
      if (!whole(tensor)) {
        scratch.finite = false;
        return;
      }
      for_chunks(pieces[p], [&](std::uint64_t first, std::size_t count) {
        for (std::size_t i = 0; i < models; ++i) {
          const std::span<double> numbers = scratch.array(0, count);
          load(tensor.statistics[i], first, scratch, numbers);
          Sums& sum = parts[p * models + i];
          for (const double number : numbers) {
            sum.plain += number;
            sum.squares += number * number;
            sum.negative = sum.negative || number < 0;
          }
        }
      });
      release(pieces[p]);
    });
    for (const Scratch& state : states)
      if (!state.finite) return refuse_number(tensor, 0, false);
    std::vector<Sums> sums(models);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      Sums& sum = sums[p % models];
      sum.plain += parts[p].plain, sum.squares += parts[p].squares;
      if (parts[p].negative)
        return Error{.kind = ErrorKind::input,
                     .what = fmt::format("tensor \"{}\" in the statistics of {} holds numbers "
                                         "below 0",
                                         tensor.out.name,
                                         tensor.statistics[p % models].model),
                     .hint = "Fisher information is a mean of squares; collect it again"};
    }
    return sums;
  }

  Recipe recipe_;
  int threads_;
  std::vector<double> weights_;
  std::vector<double> scales_;
  double floor_ = 0;
};

}  // namespace

std::unique_ptr<Operator> make_fisher(const Recipe& recipe, int threads) {
  return std::make_unique<Fisher>(recipe, threads);
}

}  // namespace ration::merge
