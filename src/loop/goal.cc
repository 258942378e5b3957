#include "loop/goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace ration::loop {
namespace {

struct PlanQuantity {
  std::string_view name;
  std::string_view unit;  // of an absolute width, as parse_quantity has it
  plan::Amount plan::Allocation::*amount;
};
constexpr std::array<PlanQuantity, 4> kPlanQuantities = {
    {{"epochs", "", &plan::Allocation::epochs},
     {"params", "params", &plan::Allocation::params},
     {"tokens", "tok", &plan::Allocation::tokens},
     {"loss", "", &plan::Allocation::loss}}};

const PlanQuantity* plan_quantity(std::string_view name) {
  const auto* found = std::find_if(kPlanQuantities.begin(),
                                   kPlanQuantities.end(),
                                   [&](const PlanQuantity& q) { return q.name == name; });
  return found == kPlanQuantities.end() ? nullptr : found;
}

std::vector<std::string> known_quantities(const fit::Law* law) {
  std::vector<std::string> names;
  for (const PlanQuantity& quantity : kPlanQuantities) names.emplace_back(quantity.name);
  const std::vector<const fit::Law*> laws =
      law != nullptr ? std::vector{law}
                     : std::vector(fit::all_laws().begin(), fit::all_laws().end());
  for (const fit::Law* each : laws)
    for (const fit::Parameter& parameter : each->parameters())
      if (std::find(names.begin(), names.end(), parameter.name) == names.end())
        names.emplace_back(parameter.name);
  return names;
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class GoalParser {
 public:
  GoalParser(std::string_view text, const fit::Law* law) : text_(text), law_(law) {}

  Result<Goal> parse() {
    constexpr std::size_t kLongest = 1000;
    if (text_.size() > kLongest)
      return problem(fmt::format("a goal of {} characters", text_.size()),
                     fmt::format("at most {} are read", kLongest));
    Goal goal{.text = std::string(text_)};
    do {
      Result<Condition> condition = this->condition();
      if (!condition) return std::move(condition).error();
      goal.conditions.push_back(std::move(*condition));
    } while (take("and"));
    skip();
    if (at_ < text_.size())
      return problem(fmt::format("\"{}\" is not expected here", rest()),
                     "conditions are joined by `and`");
    return goal;
  }

 private:
  Result<Condition> condition() {
    const std::string form = "write interval(QUANTITY) < 25%, for example interval(epochs) < 25%";
    if (!take("interval")) return problem("a condition must begin with interval(…)", form);
    if (!take("(")) return problem("\"(\" is missing behind interval", form);
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    Condition condition{.quantity = std::string(text_.substr(begin, at_ - begin))};
    const std::vector<std::string> known = known_quantities(law_);
    if (std::find(known.begin(), known.end(), condition.quantity) == known.end()) {
      at_ = begin;
      std::string hint = did_you_mean(condition.quantity, known);
      if (hint.empty()) hint = fmt::format("one of {}", fmt::join(known, ", "));
      return problem(fmt::format("no interval is known of \"{}\"", condition.quantity), hint);
    }
    if (!take(")"))
      return problem(fmt::format("\")\" is missing behind {}", condition.quantity), form);
    if (!take("<")) return problem("\"<\" is missing", form + "; other comparisons have no use");
    return limit(std::move(condition));
  }

  Result<Condition> limit(Condition condition) {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != '\t' && text_[at_] != '%')
      ++at_;
    const std::string_view number = text_.substr(begin, at_ - begin);
    condition.relative = take("%");
    const PlanQuantity* quantity = plan_quantity(condition.quantity);
    const std::string_view unit =
        condition.relative || quantity == nullptr ? std::string_view() : quantity->unit;
    const Result<double> value = parse_quantity(number, unit);
    if (!value || !(*value > 0)) {
      at_ = begin;
      return problem(fmt::format("\"{}\" is no width of an interval", number),
                     "a number above 0: 25% of the value, or without % in the quantity's own unit");
    }
    condition.limit = condition.relative ? *value / 100 : *value;
    return condition;
  }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  // Takes `word`, not a longer word that begins with it.
  bool take(std::string_view word) {
    skip();
    if (!text_.substr(at_).starts_with(word)) return false;
    const std::size_t end = at_ + word.size();
    if (is_word(word.back()) && end < text_.size() && is_word(text_[end])) return false;
    at_ = end;
    return true;
  }

  std::string_view rest() const { return text_.substr(at_); }

  Error problem(std::string what, std::string hint) {
    skip();
    return {.kind = ErrorKind::usage,
            .what = std::move(what),
            .hint = std::move(hint),
            .where = SourceRef{.file = "--until",
                               .line = 1,
                               .column = static_cast<int>(at_) + 1,
                               .line_text = std::string(text_)}};
  }

  std::string_view text_;
  const fit::Law* law_;
  std::size_t at_ = 0;
};

void judge(Measured& measured) {
  if (!measured.value || !measured.low || !measured.high) return;
  measured.width = *measured.high - *measured.low;
  if (measured.relative) *measured.width /= std::abs(*measured.value);
  if (!std::isfinite(*measured.width)) measured.width.reset();
  measured.reached = measured.width && *measured.width < measured.limit;
}

}  // namespace

Result<Goal> parse_goal(std::string_view text, const fit::Law* law) {
  return GoalParser(text, law).parse();
}

std::vector<Measured> unmeasured(const Goal& goal) {
  std::vector<Measured> all;
  for (const Condition& condition : goal.conditions)
    all.push_back(
        {.quantity = condition.quantity, .limit = condition.limit, .relative = condition.relative});
  return all;
}

std::vector<Measured> measure(const Goal& goal, const fit::Fit& fit, const plan::Plan& plan) {
  std::vector<Measured> all = unmeasured(goal);
  for (Measured& measured : all) {
    if (const PlanQuantity* quantity = plan_quantity(measured.quantity)) {
      const plan::Amount& amount = plan.best.*(quantity->amount);
      measured.value = amount.value;
      measured.low = amount.low;
      measured.high = amount.high;
    }
    for (const fit::Estimate& estimate : fit.parameters) {
      if (estimate.name != measured.quantity) continue;
      measured.value = estimate.value;
      measured.low = estimate.low;
      measured.high = estimate.high;
    }
    judge(measured);
  }
  return all;
}

}  // namespace ration::loop
