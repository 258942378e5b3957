#include "study/fusion/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

namespace ration::study {
namespace {

// A number for a corpus and seed.
struct Value {
  std::string corpus;
  std::int64_t seed = 0;
  double value = 0;
};

using Key = std::pair<std::string, std::int64_t>;  // corpus, seed

bool belongs(const FusionLoss& loss, Corpora group) {
  return group == Corpora::all || loss.seen == (group == Corpora::seen);
}

// The losses of an arm's last round.
std::map<Key, double> last_losses(std::span<const FusionLoss> losses,
                                  const std::string& arm,
                                  Measure measure,
                                  Corpora group) {
  std::map<Key, std::pair<std::int64_t, double>> last;
  for (const FusionLoss& loss : losses) {
    if (loss.arm != arm || loss.measure != measure || !belongs(loss, group)) continue;
    const auto [at, is_new] =
        last.try_emplace({loss.corpus, loss.seed}, std::pair{loss.round, loss.loss});
    if (!is_new && loss.round >= at->second.first) at->second = {loss.round, loss.loss};
  }
  std::map<Key, double> values;
  for (const auto& [key, found] : last) values[key] = found.second;
  return values;
}

std::vector<std::vector<double>> by_corpus(const std::vector<Value>& values) {
  std::map<std::string, std::vector<double>> groups;
  for (const Value& each : values) groups[each.corpus].push_back(each.value);
  std::vector<std::vector<double>> lists;
  for (auto& [corpus, list] : groups) lists.push_back(std::move(list));
  return lists;
}

template <class T>
std::vector<std::size_t> levels(const std::vector<Value>& values, T Value::*member) {
  std::set<T> seen;
  for (const Value& each : values) seen.insert(each.*member);
  std::vector<std::size_t> level;
  for (const Value& each : values)
    level.push_back(static_cast<std::size_t>(std::distance(seen.begin(), seen.find(each.*member))));
  return level;
}

Estimate crossed(const std::vector<Value>& values, const Bootstrap& how) {
  std::vector<double> numbers;
  for (const Value& each : values) numbers.push_back(each.value);
  return crossed_bootstrap(
      {levels(values, &Value::corpus), levels(values, &Value::seed)},
      [&](std::span<const double> weights) { return weighted_mean(numbers, weights); },
      how);
}

// Intervals and signs of the values; `better` is the sign that wins.
void judge(const std::vector<Value>& values, int better, const Bootstrap& how, FusionTest& test) {
  const std::vector<std::vector<double>> groups = by_corpus(values);
  test.nested = nested_bootstrap(groups, how);
  test.crossed = crossed(values, how);
  for (const std::vector<double>& group : groups) {
    const double middle = better * mean(group);
    ++(middle > 0 ? test.wins : middle < 0 ? test.losses : test.ties);
  }
  test.sign = sign_test(test.wins, test.losses);
}

// The mean over corpora of each seed's losses.
std::vector<double> means_of_seeds(const std::map<Key, double>& losses) {
  std::map<std::int64_t, std::vector<double>> seeds;
  for (const auto& [key, loss] : losses) seeds[key.second].push_back(loss);
  std::vector<double> means;
  for (const auto& [seed, values] : seeds) means.push_back(mean(values));
  return means;
}

double in_standard_errors(const std::map<Key, double>& arm, const std::map<Key, double>& other) {
  const std::vector<double> of_arm = means_of_seeds(arm), of_other = means_of_seeds(other);
  const double error = deviation(of_other) / std::sqrt(static_cast<double>(of_other.size()));
  if (!(error > 0)) return std::numeric_limits<double>::quiet_NaN();
  return (mean(of_arm) - mean(of_other)) / error;
}

std::vector<FusionTest> compare(std::span<const FusionLoss> losses,
                                const std::string& question,
                                const std::string& arm,
                                const std::string& other,
                                const Bootstrap& how) {
  std::vector<FusionTest> tests;
  for (const Measure measure : kMeasures)
    for (const Corpora group : kCorpora) {
      const auto of_arm = last_losses(losses, arm, measure, group);
      const auto of_other = last_losses(losses, other, measure, group);
      FusionTest test{.question = question,
                      .arm = arm,
                      .other = other,
                      .measure = measure,
                      .group = group,
                      .nested = {},
                      .crossed = {}};
      std::vector<Value> values;
      for (const auto& [key, loss] : of_arm) {
        const auto pair = of_other.find(key);
        if (pair == of_other.end()) continue;
        const double gain = pair->second - loss;
        if (std::isfinite(gain))
          values.push_back({key.first, key.second, gain});
        else
          ++test.left_out;
      }
      if (values.empty() && test.left_out == 0) continue;
      judge(values, +1, how, test);
      test.standard_errors = in_standard_errors(of_arm, of_other);
      tests.push_back(std::move(test));
    }
  return tests;
}

}  // namespace

std::string_view name(Measure measure) {
  constexpr std::array<std::string_view, 4> kNames = {
      "zero_step", "probe", "fine_tuned", "few_shot"};
  return kNames[static_cast<std::size_t>(measure)];
}

std::string_view name(Corpora group) {
  constexpr std::array<std::string_view, 3> kNames = {"all", "seen", "unseen"};
  return kNames[static_cast<std::size_t>(group)];
}

std::vector<FusionTest> gains(std::span<const FusionLoss> losses,
                              const std::string& arm,
                              const std::string& other,
                              const Bootstrap& how) {
  return compare(losses, "gain", arm, other, how);
}

std::vector<FusionTest> against(std::span<const FusionLoss> losses,
                                const std::string& arm,
                                const std::string& other,
                                const Bootstrap& how) {
  return compare(losses, "against", arm, other, how);
}

std::vector<FusionTest> slopes(std::span<const FusionLoss> losses,
                               const std::string& arm,
                               const Bootstrap& how) {
  std::vector<FusionTest> tests;
  for (const Corpora group : kCorpora) {
    std::map<Key, std::pair<std::vector<double>, std::vector<double>>> lines;
    for (const FusionLoss& loss : losses) {
      if (loss.arm != arm || loss.measure != Measure::zero_step || !belongs(loss, group)) continue;
      auto& [rounds, values] = lines[{loss.corpus, loss.seed}];
      rounds.push_back(static_cast<double>(loss.round));
      values.push_back(loss.loss);
    }
    FusionTest test{.question = "slope",
                    .arm = arm,
                    .other = {},
                    .measure = Measure::zero_step,
                    .group = group,
                    .nested = {},
                    .crossed = {}};
    std::vector<Value> values;
    for (const auto& [key, line] : lines) {
      if (line.first.size() < 2) continue;
      const double found = slope(line.first, line.second, {});
      if (std::isfinite(found))
        values.push_back({key.first, key.second, found});
      else
        ++test.left_out;
    }
    if (values.empty() && test.left_out == 0) continue;
    judge(values, -1, how, test);
    test.standard_errors = std::numeric_limits<double>::quiet_NaN();
    tests.push_back(std::move(test));
  }
  return tests;
}

void adjust(std::vector<FusionTest>& tests) {
  std::map<std::tuple<std::string, Measure, Corpora>, std::vector<std::size_t>> families;
  for (std::size_t i = 0; i < tests.size(); ++i)
    families[{tests[i].question, tests[i].measure, tests[i].group}].push_back(i);
  for (const auto& [family, members] : families) {
    std::vector<double> p;
    for (const std::size_t i : members) p.push_back(tests[i].nested.p);
    const std::vector<double> adjusted = holm(p);
    for (std::size_t i = 0; i < members.size(); ++i) tests[members[i]].holm = adjusted[i];
  }
}

}  // namespace ration::study
