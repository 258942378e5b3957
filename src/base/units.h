#pragma once

// Strong types for the quantities that get swapped by mistake. Construction is explicit, `.value`
// is a double, and only operators with a meaning exist: adding Tokens to Params does not compile
// (tests/base/must_not_compile).

#include <compare>

namespace ration {

template <class Tag>
struct Quantity {
  double value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : value(v) {}
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) { return value += other.value, *this; }

  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value + b.value);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value - b.value);
  }
  friend constexpr Quantity operator*(Quantity a, double k) { return Quantity(a.value * k); }
  friend constexpr Quantity operator*(double k, Quantity a) { return Quantity(a.value * k); }
  friend constexpr Quantity operator/(Quantity a, double k) { return Quantity(a.value / k); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value / b.value; }
};

using Params = Quantity<struct ParamsTag>;  // parameters of a model, each stored number once
using Tokens =
    Quantity<struct TokensTag>;  // training tokens; repeats count unless the name says unique
using Flops = Quantity<struct FlopsTag>;    // floating point operations, a multiply-add counts two
using Epochs = Quantity<struct EpochsTag>;  // tokens seen per unique token
using Loss = Quantity<struct LossTag>;      // nats a token

// C = 6 N D, the convention of the scaling-law literature (forward 2, backward 4, for each
// parameter and token).
constexpr Flops training_flops(Params params, Tokens tokens) {
  return Flops(6 * params.value * tokens.value);
}
constexpr Tokens tokens_for(Flops budget, Params params) {
  return Tokens(budget.value / (6 * params.value));
}
constexpr Epochs epochs(Tokens seen, Tokens unique) { return Epochs(seen / unique); }

}  // namespace ration
