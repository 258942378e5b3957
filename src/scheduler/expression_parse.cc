#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "scheduler/expression.h"

namespace ration::scheduler {
namespace {

constexpr std::size_t kMaxLength = 2000;
constexpr int kMaxDepth = 50;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

}  // namespace

// Recursive descent, one function a level of precedence. The first syntax error ends it; unknown
// names are collected.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, const Names& names, Locate locate)
      : text_(text), names_(names) {
    result_.locate_ = std::move(locate);
  }

  Result<Expression> run() {
    if (text_.size() > kMaxLength)
      return at(0,
                fmt::format("an expression of {} characters", text_.size()),
                fmt::format("at most {} are read; use several [derive] entries", kMaxLength));
    parse_or();
    skip_blanks();
    if (!stopped_ && position_ < text_.size()) unexpected();
    if (!problems_.empty())
      return combine(std::move(problems_), "an expression that cannot be used");
    return std::move(result_);
  }

 private:
  using Op = Expression::Op;
  struct Symbol {
    std::string_view text;
    Op op;
  };
  struct Function {
    std::string_view name;
    Op op;
    std::size_t fewest;
    std::size_t most;
  };
  static constexpr std::array<Function, 9> kFunctions = {{{"min", Op::minimum, 2, 64},
                                                          {"max", Op::maximum, 2, 64},
                                                          {"ceil", Op::ceil, 1, 1},
                                                          {"floor", Op::floor, 1, 1},
                                                          {"round", Op::round, 1, 1},
                                                          {"log2", Op::log2, 1, 1},
                                                          {"sqrt", Op::sqrt, 1, 1},
                                                          {"int", Op::truncate, 1, 1},
                                                          {"if", Op::choose, 3, 3}}};

  Error at(std::size_t offset, std::string what, std::string hint) const {
    return {.kind = ErrorKind::usage,
            .what = std::move(what),
            .hint = std::move(hint),
            .where = result_.locate_(offset)};
  }

  int stop(std::size_t offset, std::string what, std::string hint) {
    if (!stopped_) problems_.push_back(at(offset, std::move(what), std::move(hint)));
    stopped_ = true;
    return 0;
  }

  int unexpected() {
    if (position_ >= text_.size())
      return stop(position_, "the expression ends too early", "a value is missing here");
    const char c = text_[position_];
    const bool single = c == '=' || c == '&' || c == '|' || c == '!';
    return stop(position_,
                fmt::format("unexpected \"{}\" in an expression", c),
                single ? "operators are == != < <= > >= and or not"
                       : "operators are + - * / % ^, comparisons, and or not");
  }

  int node(Op op, std::size_t offset, std::vector<int> operands) {
    result_.nodes_.push_back({.op = op, .at = offset, .operands = std::move(operands)});
    return static_cast<int>(result_.nodes_.size()) - 1;
  }

  void skip_blanks() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' ||
                                        text_[position_] == '\n' || text_[position_] == '\r'))
      ++position_;
  }

  bool take_symbol(std::string_view symbol) {
    skip_blanks();
    if (!text_.substr(position_).starts_with(symbol)) return false;
    position_ += symbol.size();
    return true;
  }

  bool take_word(std::string_view word) {
    skip_blanks();
    const std::string_view rest = text_.substr(position_);
    if (!rest.starts_with(word) || (rest.size() > word.size() && is_name(rest[word.size()])))
      return false;
    position_ += word.size();
    return true;
  }

  // One level of nesting deeper, while the object lives.
  struct Level {
    explicit Level(int& depth) : depth_(++depth) {}
    ~Level() { --depth_; }
    int& depth_;
  };
  bool too_deep() {
    if (depth_ <= kMaxDepth) return false;
    stop(position_,
         fmt::format("an expression nested deeper than {} levels", kMaxDepth),
         "use several [derive] entries");
    return true;
  }

  int parse_or() {
    const Level level(depth_);
    if (too_deep()) return 0;
    int left = parse_and();
    for (std::size_t offset = position_; !stopped_ && take_word("or"); offset = position_)
      left = node(Op::logical_or, offset, {left, parse_and()});
    return left;
  }

  int parse_and() {
    int left = parse_not();
    for (std::size_t offset = position_; !stopped_ && take_word("and"); offset = position_)
      left = node(Op::logical_and, offset, {left, parse_not()});
    return left;
  }

  int parse_not() {
    const Level level(depth_);
    if (too_deep()) return 0;
    skip_blanks();
    const std::size_t offset = position_;
    if (take_word("not")) return node(Op::logical_not, offset, {parse_not()});
    return parse_comparison();
  }

  int parse_comparison() {
    static constexpr std::array<Symbol, 6> kSymbols = {{{"==", Op::equal},
                                                        {"!=", Op::unequal},
                                                        {"<=", Op::less_equal},
                                                        {">=", Op::greater_equal},
                                                        {"<", Op::less},
                                                        {">", Op::greater}}};
    int left = parse_sum();
    bool compared = false;
    while (!stopped_) {
      skip_blanks();
      const std::size_t offset = position_;
      const auto symbol = std::find_if(
          kSymbols.begin(), kSymbols.end(), [&](const Symbol& s) { return take_symbol(s.text); });
      if (symbol == kSymbols.end()) return left;
      if (compared)
        return stop(offset, "comparisons in a chain", "write `a < b and b < c` for a < b < c");
      left = node(symbol->op, offset, {left, parse_sum()});
      compared = true;
    }
    return left;
  }

  template <std::size_t n>
  int parse_chain(const std::array<Symbol, n>& symbols, int (ExpressionParser::*operand)()) {
    int left = (this->*operand)();
    while (!stopped_) {
      skip_blanks();
      const std::size_t offset = position_;
      const auto symbol = std::find_if(
          symbols.begin(), symbols.end(), [&](const Symbol& s) { return take_symbol(s.text); });
      if (symbol == symbols.end()) return left;
      left = node(symbol->op, offset, {left, (this->*operand)()});
    }
    return left;
  }

  int parse_sum() {
    static constexpr std::array<Symbol, 2> kSymbols = {{{"+", Op::add}, {"-", Op::subtract}}};
    return parse_chain(kSymbols, &ExpressionParser::parse_product);
  }

  int parse_product() {
    static constexpr std::array<Symbol, 3> kSymbols = {
        {{"*", Op::multiply}, {"/", Op::divide}, {"%", Op::remainder}}};
    return parse_chain(kSymbols, &ExpressionParser::parse_signed);
  }

  int parse_signed() {
    const Level level(depth_);
    if (too_deep()) return 0;
    skip_blanks();
    const std::size_t offset = position_;
    if (take_symbol("-")) return node(Op::negate, offset, {parse_signed()});
    if (take_symbol("+")) return parse_signed();
    const int base = parse_primary();
    skip_blanks();
    const std::size_t caret = position_;
    if (!stopped_ && take_symbol("^")) return node(Op::power, caret, {base, parse_signed()});
    return base;
  }

  int parse_primary() {
    skip_blanks();
    if (stopped_) return 0;
    if (position_ >= text_.size()) return unexpected();
    const char c = text_[position_];
    if (is_digit(c) || c == '.') return parse_number();
    if (c == '\'' || c == '"') return parse_text(c);
    if (is_name_start(c)) return parse_name();
    const std::size_t offset = position_;
    if (!take_symbol("(")) return unexpected();
    const int inside = parse_or();
    if (!stopped_ && !take_symbol(")"))
      return stop(offset, "a parenthesis that is not closed", "add the missing `)`");
    return inside;
  }

  int literal(std::size_t offset, run::Value value) {
    const int index = node(Op::literal, offset, {});
    result_.nodes_.back().literal = std::move(value);
    return index;
  }

  // 12, 1_000, 1.5e-3, 131K, 10Btok, 1e12flop; digits alone are exact; with a unit or an exponent,
  // whole up to 2^53 unless there is a point.
  int parse_number() {
    const std::size_t offset = position_;
    std::string word;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      const bool exponent_sign =
          (c == '+' || c == '-') && (word.ends_with('e') || word.ends_with('E'));
      if (!is_name(c) && c != '.' && !exponent_sign) break;
      if (c != '_') word += c;
      ++position_;
    }
    std::int64_t digits = 0;
    const char* const end = word.data() + word.size();
    if (const auto read = std::from_chars(word.data(), end, digits); read.ptr == end)
      return read.ec == std::errc() ? literal(offset, digits)
                                    : stop(offset,
                                           fmt::format("{} is beyond 64 bits", word),
                                           "write it with a point or an exponent");
    Result<double> number = parse_quantity(word, "tok");
    if (!number) number = parse_quantity(word, "flop");
    if (!number)
      return stop(
          offset, fmt::format("\"{}\" is not a number", word), "write it like 1.5e6 or 10M");
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    const bool whole = word.find('.') == std::string::npos && *number == std::floor(*number) &&
                       *number <= kExactIntegers;
    return literal(offset,
                   whole ? run::Value(static_cast<std::int64_t>(*number)) : run::Value(*number));
  }

  int parse_text(char quote) {
    const std::size_t offset = position_;
    const std::size_t end = text_.find(quote, offset + 1);
    if (end == std::string_view::npos)
      return stop(offset, "a text that is not closed", fmt::format("add the missing {}", quote));
    position_ = end + 1;
    return literal(offset, std::string(text_.substr(offset + 1, end - offset - 1)));
  }

  int parse_name() {
    const std::size_t offset = position_;
    while (position_ < text_.size() && is_name(text_[position_])) ++position_;
    const std::string_view name = text_.substr(offset, position_ - offset);
    if (name == "true" || name == "false") return literal(offset, name == "true");
    if (name == "and" || name == "or" || name == "not")
      return stop(offset,
                  fmt::format("unexpected \"{}\" in an expression", name),
                  "a value is missing before it");
    skip_blanks();
    if (position_ < text_.size() && text_[position_] == '(') return parse_call(name, offset);
    const std::optional<int> slot = names_.find(name);
    if (!slot) {
      std::string hint = did_you_mean(name, names_.known(false));
      if (hint.empty()) hint = "settings, params, epochs, … are known; [let] declares more names";
      problems_.push_back(at(offset, fmt::format("unknown name \"{}\"", name), std::move(hint)));
      return literal(offset, false);
    }
    const int index = node(Op::name, offset, {});
    result_.nodes_.back().slot = *slot;
    return index;
  }

  int parse_call(std::string_view name, std::size_t offset) {
    const auto function = std::find_if(
        kFunctions.begin(), kFunctions.end(), [&](const Function& f) { return f.name == name; });
    if (function == kFunctions.end())
      return stop(offset,
                  fmt::format("unknown function \"{}\"", name),
                  "functions are min max ceil floor round log2 sqrt int if");
    take_symbol("(");
    std::vector<int> operands;
    if (!take_symbol(")")) {
      do operands.push_back(parse_or());
      while (!stopped_ && take_symbol(","));
      if (!stopped_ && !take_symbol(")"))
        return stop(offset, fmt::format("{}( is not closed", name), "add the missing `)`");
    }
    if (stopped_) return 0;
    if (operands.size() < function->fewest || operands.size() > function->most)
      return stop(offset,
                  fmt::format("{} takes {} value{}, not {}",
                              name,
                              function->fewest,
                              function->fewest == 1 ? ""
                              : function->most > 3  ? "s or more"
                                                    : "s",
                              operands.size()),
                  "for example min(a, b), round(x), if(condition, a, b)");
    return node(function->op, offset, std::move(operands));
  }

  std::string_view text_;
  const Names& names_;
  Expression result_;
  std::vector<Error> problems_;
  std::size_t position_ = 0;
  int depth_ = 0;
  bool stopped_ = false;
};

Result<Expression> Expression::parse(std::string_view text, const Names& names, Locate locate) {
  return ExpressionParser(text, names, std::move(locate)).run();
}

Error Expression::problem(std::string what, std::string hint) const {
  return {.kind = ErrorKind::usage,
          .what = std::move(what),
          .hint = std::move(hint),
          .where = locate_(0)};
}

}  // namespace ration::scheduler
