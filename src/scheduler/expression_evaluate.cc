#include <fmt/format.h>

#include <cmath>

#include "scheduler/expression.h"

namespace ration::scheduler {
namespace {

using run::Value;

// Thrown and caught in this file alone: a tree of operators is read best without a check at every
// node.
struct Failure {
  std::size_t at;
  std::string what;
  std::string hint;
};
struct Unknown {};  // a name without a value

std::string shown(const Value& value) {
  return std::visit(
      [](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>)
          return fmt::format("'{}'", v);
        else
          return fmt::format("{}", v);
      },
      value);
}

bool is_number(const Value& value) { return value.index() == 1 || value.index() == 2; }

double real(const Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
}

// Exact: long double holds every 64-bit integer on the platforms of the project, and where it does
// not, two integers are still compared as such.
int compare_numbers(const Value& a, const Value& b) {
  if (a.index() == 1 && b.index() == 1) {
    const std::int64_t x = std::get<std::int64_t>(a);
    const std::int64_t y = std::get<std::int64_t>(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const auto wide = [](const Value& v) {
    return v.index() == 1 ? static_cast<long double>(std::get<std::int64_t>(v))
                          : static_cast<long double>(std::get<double>(v));
  };
  return wide(a) < wide(b) ? -1 : wide(a) > wide(b) ? 1 : 0;
}

}  // namespace

class ExpressionEvaluator {
 public:
  ExpressionEvaluator(const Expression& expression, Scope& scope)
      : nodes_(expression.nodes_), scope_(scope) {}

  Value root() { return value(static_cast<int>(nodes_.size()) - 1); }

 private:
  using Op = Expression::Op;
  using Node = Expression::Node;

  Value value(int index) {
    const Node& node = nodes_[static_cast<std::size_t>(index)];
    switch (node.op) {
      case Op::literal:
        return node.literal;
      case Op::name: {
        const Value* found = scope_.find(node.slot);
        if (found == nullptr) throw Unknown();
        return *found;
      }
      case Op::logical_not:
        return !truth(node, 0);
      case Op::logical_and:
        return truth(node, 0) && truth(node, 1);
      case Op::logical_or:
        return truth(node, 0) || truth(node, 1);
      case Op::choose:
        return value(node.operands[truth(node, 0) ? 1 : 2]);
      case Op::equal:
      case Op::unequal:
      case Op::less:
      case Op::less_equal:
      case Op::greater:
      case Op::greater_equal:
        return comparison(node);
      case Op::minimum:
      case Op::maximum:
        return extreme(node);
      default:
        return node.operands.size() == 1 ? unary(node, number(node, 0))
                                         : binary(node, number(node, 0), number(node, 1));
    }
  }

  bool truth(const Node& node, std::size_t operand) {
    const Value v = value(node.operands[operand]);
    if (const bool* is_true = std::get_if<bool>(&v)) return *is_true;
    throw Failure{node.at,
                  fmt::format("{} is neither true nor false", shown(v)),
                  "compare it with something, for example `x > 0`"};
  }

  Value number(const Node& node, std::size_t operand) {
    Value v = value(node.operands[operand]);
    if (is_number(v)) return v;
    throw Failure{node.at, fmt::format("{} is not a number", shown(v)), "this needs numbers"};
  }

  Value comparison(const Node& node) {
    const Value a = value(node.operands[0]);
    const Value b = value(node.operands[1]);
    int order = 0;
    if (is_number(a) && is_number(b))
      order = compare_numbers(a, b);
    else if (a.index() == b.index() && a.index() == 3)
      order = std::get<std::string>(a).compare(std::get<std::string>(b));
    else if (a.index() == b.index())
      order = static_cast<int>(std::get<bool>(a)) - static_cast<int>(std::get<bool>(b));
    else
      throw Failure{node.at,
                    fmt::format("{} and {} cannot be compared", shown(a), shown(b)),
                    "both sides must be numbers, or texts, or true or false"};
    switch (node.op) {
      case Op::equal:
        return order == 0;
      case Op::unequal:
        return order != 0;
      case Op::less:
        return order < 0;
      case Op::less_equal:
        return order <= 0;
      case Op::greater:
        return order > 0;
      default:
        return order >= 0;
    }
  }

  Value extreme(const Node& node) {
    Value best = number(node, 0);
    for (std::size_t i = 1; i < node.operands.size(); ++i) {
      Value next = number(node, i);
      const int order = compare_numbers(next, best);
      if (node.op == Op::minimum ? order < 0 : order > 0) best = std::move(next);
    }
    return best;
  }

  Value finite(const Node& node, double result) {
    if (std::isfinite(result)) return result;
    throw Failure{node.at, "the result is not a finite number", "check the values it is made of"};
  }

  std::int64_t whole(const Node& node, double result) {
    if (std::abs(result) < 9.2e18) return static_cast<std::int64_t>(result);
    throw overflow(node);
  }

  Failure overflow(const Node& node) const {
    return {node.at,
            "the whole number is beyond 64 bits",
            "write one value with a point (2.0) to calculate with fractions"};
  }

  Value unary(const Node& node, const Value& v) {
    const bool is_whole = v.index() == 1;
    switch (node.op) {
      case Op::negate: {
        if (!is_whole) return -std::get<double>(v);
        std::int64_t result = 0;
        if (__builtin_sub_overflow(std::int64_t{0}, std::get<std::int64_t>(v), &result))
          throw overflow(node);
        return result;
      }
      case Op::sqrt:
        if (real(v) < 0)
          throw Failure{node.at, "the square root of a negative number", "check its value"};
        return std::sqrt(real(v));
      case Op::log2:
        if (real(v) <= 0)
          throw Failure{
              node.at, "the logarithm of a number that is not positive", "check its value"};
        return std::log2(real(v));
      default:
        break;
    }
    if (is_whole) return v;
    const double x = std::get<double>(v);
    if (node.op == Op::ceil) return whole(node, std::ceil(x));
    if (node.op == Op::floor) return whole(node, std::floor(x));
    if (node.op == Op::round) return whole(node, std::round(x));
    return whole(node, std::trunc(x));
  }

  Value binary(const Node& node, const Value& a, const Value& b) {
    const bool division = node.op == Op::divide || node.op == Op::remainder;
    if (division && real(b) == 0)
      throw Failure{node.at, "division by zero", "check the value on the right"};
    if (a.index() == 1 && b.index() == 1)
      return whole_binary(node, std::get<std::int64_t>(a), std::get<std::int64_t>(b));
    return real_binary(node, real(a), real(b));
  }

  Value real_binary(const Node& node, double a, double b) {
    switch (node.op) {
      case Op::add:
        return finite(node, a + b);
      case Op::subtract:
        return finite(node, a - b);
      case Op::multiply:
        return finite(node, a * b);
      case Op::divide:
        return finite(node, a / b);
      case Op::remainder:
        return finite(node, a - b * std::floor(a / b));
      default:
        return finite(node, std::pow(a, b));
    }
  }

  Value whole_binary(const Node& node, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool too_large = false;
    switch (node.op) {
      case Op::add:
        too_large = __builtin_add_overflow(a, b, &result);
        break;
      case Op::subtract:
        too_large = __builtin_sub_overflow(a, b, &result);
        break;
      case Op::multiply:
        too_large = __builtin_mul_overflow(a, b, &result);
        break;
      case Op::divide:
        if (b == -1) {
          too_large = __builtin_sub_overflow(std::int64_t{0}, a, &result);
          break;
        }
        if (a % b != 0) return static_cast<double>(a) / static_cast<double>(b);
        return a / b;
      case Op::remainder:
        if (b == -1) return std::int64_t{0};
        result = a % b;
        return result != 0 && (result < 0) != (b < 0) ? result + b : result;
      default:
        if (b < 0) return real_binary(node, static_cast<double>(a), static_cast<double>(b));
        return whole_power(node, a, b);
    }
    if (too_large) throw overflow(node);
    return result;
  }

  std::int64_t whole_power(const Node& node, std::int64_t base, std::int64_t exponent) {
    if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    std::int64_t result = 1;  // |base| >= 2: at most 63 factors fit
    for (std::int64_t i = 0; i < exponent; ++i)
      if (__builtin_mul_overflow(result, base, &result)) throw overflow(node);
    return result;
  }

  const std::vector<Node>& nodes_;
  Scope& scope_;
};

Evaluation Expression::evaluate(Scope& scope) const {
  try {
    return {.value = ExpressionEvaluator(*this, scope).root()};
  } catch (Failure& failure) {
    return {.error = Error{.kind = ErrorKind::usage,
                           .what = std::move(failure.what),
                           .hint = std::move(failure.hint),
                           .where = locate_(failure.at)}};
  } catch (const Unknown&) {
    return {};
  }
}

}  // namespace ration::scheduler
