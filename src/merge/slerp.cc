// Great-circle interpolation of two models, each tensor by itself, of the weights or of tau.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "merge/numbers.h"
#include "merge/operator.h"

namespace ration::merge {
namespace {

constexpr double kSmallestNorm = 1e-8;
constexpr double kColinear = 0.9995;  // cosine beyond which the circle is taken for a line

class Slerp final : public Operator {
 public:
  Slerp(const Recipe& recipe, int threads) : recipe_(recipe), threads_(threads) {}

  Result<void> begin(const Tensor& tensor) override {
    const double t = recipe_.t;
    factors_[0] = 1 - t, factors_[1] = t;
    if (t == 0 || t == 1) return {};
    const std::vector<Piece> pieces = pieces_of(tensor);
    std::vector<Products> parts(pieces.size());
    std::vector<Scratch> states(static_cast<std::size_t>(thread_count(threads_)));
    for_pieces(pieces.size(), std::span(states), [&](std::size_t p, Scratch& scratch) {
      if (!whole(tensor)) {
        scratch.finite = false;
        return;
      }
      for_chunks(pieces[p], [&](std::uint64_t first, std::size_t count) {
        const std::span<double> a = vector(tensor, 0, first, scratch, scratch.array(0, count));
        const std::span<double> b = vector(tensor, 1, first, scratch, scratch.array(1, count));
        for (std::size_t j = 0; j < count; ++j) {
          parts[p].aa += a[j] * a[j];
          parts[p].bb += b[j] * b[j];
          parts[p].ab += a[j] * b[j];
        }
      });
      release(pieces[p]);
    });
    for (const Scratch& state : states)
      if (!state.finite) return refuse_number(tensor, 0, recipe_.on == "tau");
    Products sum;
    for (const Products& part : parts) sum.aa += part.aa, sum.bb += part.bb, sum.ab += part.ab;
    if (const bool a = !std::isfinite(sum.aa); a || !std::isfinite(sum.bb))
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("tensor \"{}\": the squared length of {} overflows F64",
                                       tensor.out.name,
                                       tensor.models[a ? 0 : 1].model),
                   .hint = "this model diverged or its file is damaged; leave it out"};
    set_factors(sum);
    return {};
  }

  bool reads_base() const override {
    return recipe_.on == "tau" && recipe_.t != 0 && recipe_.t != 1;
  }

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    const std::size_t count = out.size();
    if (recipe_.t == 0 || recipe_.t == 1) {  // that input, bit for bit
      const std::size_t end = recipe_.t == 0 ? 0 : 1;
      load(tensor.models[1 - end], first, scratch, out);
      return load(tensor.models[end], first, scratch, out);
    }
    const std::span<double> a = vector(tensor, 0, first, scratch, scratch.array(0, count));
    const std::span<double> b = vector(tensor, 1, first, scratch, scratch.array(1, count));
    if (recipe_.on == "tau")
      load(tensor.base, first, scratch, out);
    else
      std::fill(out.begin(), out.end(), 0.0);
    for (std::size_t j = 0; j < count; ++j) out[j] += factors_[0] * a[j] + factors_[1] * b[j];
  }

 private:
  struct Products {
    double aa = 0, bb = 0, ab = 0;
  };

  std::span<double> vector(const Tensor& tensor,
                           std::size_t model,
                           std::uint64_t first,
                           Scratch& scratch,
                           std::span<double> to) const {
    if (recipe_.on == "tau")
      load_tau(tensor, model, first, scratch, to);
    else
      load(tensor.models[model], first, scratch, to);
    return to;
  }

  void set_factors(const Products& products) {
    const double a = std::sqrt(products.aa), b = std::sqrt(products.bb);
    const bool zero = a <= kSmallestNorm || b <= kSmallestNorm;
    if (zero && recipe_.compat != "mergekit") return;  // a line
    // A vector that is too short is not normalised.
    const double cosine = products.ab / ((a > kSmallestNorm ? a : 1) * (b > kSmallestNorm ? b : 1));
    const double bounded = std::clamp(cosine, -1.0, 1.0);
    if (std::fabs(bounded) > kColinear) return;
    const double angle = std::acos(bounded);
    factors_[0] = std::sin((1 - recipe_.t) * angle) / std::sin(angle);
    factors_[1] = std::sin(recipe_.t * angle) / std::sin(angle);
  }

  Recipe recipe_;
  int threads_;
  double factors_[2] = {1, 0};
};

}  // namespace

std::unique_ptr<Operator> make_slerp(const Recipe& recipe, int threads) {
  return std::make_unique<Slerp>(recipe, threads);
}

}  // namespace ration::merge
