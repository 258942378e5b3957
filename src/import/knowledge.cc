#include "import/knowledge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ration::import {

Facts Knowledge::facts_of(const std::string& run) {
  Facts facts;
  const std::string last = run.substr(run.find_last_of('/') + 1);
  for (const std::string& name : {run, last})
    if (const auto entry = inputs_.side.find(name); entry != inputs_.side.end()) {
      const Point& point = entry->second;
      facts = {point.params, point.tokens, point.unique, point.epochs, point.weight};
      inputs_.side_used.insert(name);
      break;
    }
  if (!pattern_) return facts;
  const auto values = pattern_->read(run);
  if (!values) {
    if (!facts.params || !facts.tokens)
      problems_.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("run {}: its name does not fit --name {}", run, options_.name),
           .hint = "{*} stands for any text; --runs FILE tells about runs by their names"});
    return facts;
  }
  std::string reading;
  for (const auto& [field, value] : *values) {
    std::optional<double>& fact = field == "params"   ? facts.params
                                  : field == "tokens" ? facts.tokens
                                  : field == "unique" ? facts.unique
                                                      : facts.epochs;
    if (!fact) fact = value;
    reading += fmt::format("{}{} {}", reading.empty() ? "" : ", ", field, value);
  }
  if (std::none_of(
          derived_.begin(), derived_.end(), [](const Guess& g) { return g.role == "run"; }))
    say("run", fmt::format("name {}: read as {}", run, reading));
  return facts;
}

// The last value that the run's rows give.
std::optional<double> Knowledge::own(const Run& run,
                                     Role role,
                                     std::optional<double> Point::*member) {
  for (auto point = run.points.rbegin(); point != run.points.rend(); ++point)
    if ((*point).*member) {
      for (const Point& any : run.points) used_.insert({any.source, role});
      return (*point).*member;
    }
  return std::nullopt;
}

std::optional<double> Knowledge::first_known(const Run& run,
                                             Role role,
                                             std::optional<double> Point::*member,
                                             const std::optional<double>& fact) {
  if (fact && !inputs_.told(role)) return fact;
  const std::optional<double> value = own(run, role, member);
  return value ? value : fact;
}

// Tokens at a step out of those logged at some steps: on the line between neighbours, and in
// proportion to the step beyond them. A number that never changes is the run's total.
std::optional<double> Knowledge::logged_tokens(const Run& run, double step, double last) {
  std::vector<std::pair<double, double>> logged;
  for (const Point& point : run.points)
    if (point.tokens) {
      used_.insert({point.source, Role::tokens});
      logged.emplace_back(point.step.value_or(0), *point.tokens);
    }
  if (logged.empty()) return std::nullopt;
  if (!run.history) return logged.back().second;
  const bool constant = std::all_of(
      logged.begin(), logged.end(), [&](const auto& p) { return p.second == logged[0].second; });
  if (constant) {
    if (step == last || !(last > 0)) return logged[0].second;
    say("tokens", "tokens of a point: the run's tokens x step / its last step");
    return logged[0].second * step / last;
  }
  const auto after = std::lower_bound(
      logged.begin(), logged.end(), step, [](const auto& p, double s) { return p.first < s; });
  if (after != logged.end() && after->first == step) return after->second;
  if (after == logged.begin() || after == logged.end()) {
    const auto& [at, tokens] = after == logged.end() ? logged.back() : logged.front();
    return at > 0 ? tokens * step / at : tokens;
  }
  const auto before = after - 1;
  return before->second +
         (after->second - before->second) * (step - before->first) / (after->first - before->first);
}

std::optional<double> Knowledge::tokens_at(const Run& run,
                                           const Facts& facts,
                                           const Point& point,
                                           double last) {
  const double step = point.step.value_or(last);
  if (inputs_.told(Role::tokens))
    if (const std::optional<double> tokens = logged_tokens(run, step, last)) return tokens;
  if (options_.tokens_per_step && point.step) return *point.step * *options_.tokens_per_step;
  if (facts.tokens) {
    if (!run.history || step == last || !(last > 0)) return facts.tokens;
    say("tokens", "tokens of a point: the run's tokens x step / its last step");
    return *facts.tokens * step / last;
  }
  if (const std::optional<double> tokens = logged_tokens(run, step, last)) return tokens;
  if (const auto a_step = own(run, Role::tokens_per_step, &Point::tokens_per_step);
      a_step && point.step) {
    const Columns& columns = inputs_.tables[point.source].columns;
    const auto name = [&](Role role) {
      const Column& column = columns[role];
      return column ? inputs_.tables[point.source]
                          .source.csv.names()[static_cast<std::size_t>(column.index)]
                    : std::string(name_of(role));
    };
    say("tokens",
        columns[Role::tokens_per_step]
            ? fmt::format("tokens: {} x {}", name(Role::step), name(Role::tokens_per_step))
            : fmt::format("tokens: {} x {} x {}; say --tokens-per-step N otherwise",
                          name(Role::step),
                          name(Role::batch),
                          name(Role::length)));
    return *point.step * *a_step;
  }
  const auto unique = first_known(run, Role::unique, &Point::unique, facts.unique);
  const auto epochs = first_known(run, Role::epochs, &Point::epochs, facts.epochs);
  if (!unique || !epochs) return std::nullopt;
  say("tokens", "tokens: unique tokens x epochs");
  return run.history && last > 0 ? *unique * *epochs * step / last : *unique * *epochs;
}

double Knowledge::unique_of(const Run& run, const Facts& facts, double tokens) {
  if (const auto unique = first_known(run, Role::unique, &Point::unique, facts.unique))
    return *unique;
  if (const auto epochs = first_known(run, Role::epochs, &Point::epochs, facts.epochs)) {
    say("unique_tokens",
        "unique tokens: tokens / epochs; say --column unique_tokens=NAME otherwise");
    if (std::isfinite(*epochs) && *epochs > 0) return tokens / std::max(*epochs, 1.0);
    return *epochs;
  }
  ++seen_once_;
  return tokens;
}

std::optional<double> Knowledge::params_of(const Run& run, const Facts& facts) {
  return first_known(run, Role::params, &Point::params, facts.params);
}

std::optional<double> Knowledge::weight_of(const Run& run) {
  return own(run, Role::weight, &Point::weight);
}

bool Knowledge::used(std::size_t table, const std::string& role) const {
  return std::any_of(used_.begin(), used_.end(), [&](const auto& use) {
    return use.first == table && name_of(use.second) == role;
  });
}

void Knowledge::say(const std::string& role, std::string text) {
  for (const Guess& guess : derived_)
    if (guess.role == role && guess.text == text) return;
  derived_.push_back({role, "", "", "", std::move(text)});
}

}  // namespace ration::import
