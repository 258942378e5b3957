#pragma once

// Expressions of sweep files: numbers, 'text', true and false, names; + - * / % ^, comparisons, and
// or not; min max ceil floor round log2 sqrt int if. docs/sweeps.md has the rules for users.
//
//   Result<Expression> e = Expression::parse("20 * params", names, place_in_file(source, place));
//   Evaluation v = e->evaluate(scope);
//
// Whole numbers are 64 bit and an overflow is an error; so are division by zero and a result that
// is not finite. `a / b` stays whole where b divides a. `if`, `and`, `or` evaluate what they need.
// Errors are ErrorKind::usage at the very operator or name.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "run/spec.h"
#include "scheduler/names.h"

namespace ration::scheduler {

// What the names stand for while an expression is evaluated.
class Scope {
 public:
  virtual ~Scope() = default;
  // nullptr: it has no value, because of a problem that was reported already.
  virtual const run::Value* find(int slot) = 0;
};

// A value, or an error, or neither when a name in it had no value.
struct Evaluation {
  std::optional<run::Value> value = {};
  std::optional<Error> error = {};
};

// The place of the character at `offset` of the expression.
using Locate = std::function<SourceRef(std::size_t offset)>;

class Expression {
 public:
  // All unknown names come in one error. Limits: 2,000 characters, 50 levels.
  static Result<Expression> parse(std::string_view text, const Names& names, Locate locate);

  Evaluation evaluate(Scope& scope) const;
  // The error at the expression as a whole.
  Error problem(std::string what, std::string hint) const;

 private:
  friend class ExpressionParser;
  friend class ExpressionEvaluator;

  enum class Op {
    literal,
    name,
    negate,
    logical_not,
    logical_and,
    logical_or,
    add,
    subtract,
    multiply,
    divide,
    remainder,
    power,
    equal,
    unequal,
    less,
    less_equal,
    greater,
    greater_equal,
    minimum,
    maximum,
    ceil,
    floor,
    round,
    log2,
    sqrt,
    truncate,
    choose
  };
  struct Node {
    Op op = Op::literal;
    std::size_t at = 0;  // offset of the operator or name in the text
    run::Value literal = {};
    int slot = 0;                    // of a name
    std::vector<int> operands = {};  // nodes
  };

  std::vector<Node> nodes_;  // operands before operators; the last one is the root
  Locate locate_;
};

}  // namespace ration::scheduler
