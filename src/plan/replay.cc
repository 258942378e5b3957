#include "plan/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "base/random.h"

namespace ration::plan {
namespace {

using Indices = std::vector<std::size_t>;

struct Table {
  std::vector<fit::Observation> runs;  // cheapest first
  std::size_t buyable = 0;             // the rest is the target
  double total = 0;                    // FLOPs of the buyable runs

  double cost(std::size_t i) const { return training_flops(runs[i].params, runs[i].tokens).value; }
};

fit::Points points_of(const Table& table, const Indices& rows) {
  fit::Points points;
  for (const std::size_t i : rows)
    points.add(table.runs[i].params, table.runs[i].tokens, table.runs[i].unique);
  return points;
}

Indices range(std::size_t first, std::size_t last) {
  Indices rows(last - first);
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

// Takes runs in the given order while they are affordable.
Indices buy_in_order(const Table& table, const Indices& order, double budget) {
  Indices bought;
  for (const std::size_t i : order) {
    if (table.cost(i) > budget) continue;
    budget -= table.cost(i);
    bought.push_back(i);
  }
  return bought;
}

// What is believed once some runs are known, starting from what was believed before.
std::vector<fit::Belief> learn(const Table& table,
                               const Indices& rows,
                               const ReplayOptions& options,
                               const std::vector<fit::Belief>& before = {}) {
  std::vector<fit::Mode> modes;
  for (const std::string& name : options.laws) {
    const fit::Law& law = *fit::find_law(name);
    modes.push_back({&law, law.typical()});
  }
  for (const fit::Belief& belief : before) modes.push_back({belief.law, belief.x});
  std::vector<double> log_loss, weights;
  for (const std::size_t i : rows) {
    log_loss.push_back(std::log(table.runs[i].loss.value));
    weights.push_back(table.runs[i].weight);
  }
  return fit::believe(modes, points_of(table, rows), log_loss, weights, options.misfit);
}

// ln L by all beliefs, each by its weight.
std::vector<double> predict(const std::vector<fit::Belief>& beliefs, const fit::Points& points) {
  std::vector<double> log_loss(points.size(), 0.0);
  double total = 0;
  for (const fit::Belief& belief : beliefs) total += belief.weight;
  for (const fit::Belief& belief : beliefs) {
    const std::vector<double> predicted = belief.predict(points);
    for (std::size_t i = 0; i < log_loss.size(); ++i)
      log_loss[i] += belief.weight / total * predicted[i];
  }
  return log_loss;
}

// Buys in rounds. Each plans how to spend all that is left, buys the cheapest of the plan for an
// even share of it, and looks at the results: what is dear is then chosen by what is cheap.
Indices buy_by_design(const Table& table, Indices open, const ReplayOptions& options) {
  constexpr int kRounds = 8;
  constexpr std::size_t kFewest = 3;  // runs a round, whatever they cost
  const fit::Points targets = points_of(table, range(table.buyable, table.runs.size()));
  double left = options.budget * table.total;
  Indices bought;
  std::vector<fit::Belief> beliefs;
  for (int round = 0; !open.empty(); ++round) {
    beliefs = learn(table, bought, options, beliefs);
    fit::Choosing choosing;
    choosing.gamma = options.gamma;
    choosing.count = static_cast<int>(open.size());
    choosing.spend = left;
    fit::Selection plan = fit::choose_runs(beliefs, points_of(table, open), targets, choosing);
    if (plan.runs.empty()) break;
    std::stable_sort(plan.runs.begin(), plan.runs.end(), [](const auto& a, const auto& b) {
      return a.cost < b.cost;
    });
    const double share = left / std::max(1, kRounds - round);
    double spent = 0;
    Indices gone;
    for (const fit::Chosen& run : plan.runs) {
      if (gone.size() >= kFewest && spent + run.cost > share) break;
      spent += run.cost;
      gone.push_back(run.candidate);
    }
    left -= spent;
    std::sort(gone.rbegin(), gone.rend());
    for (const std::size_t place : gone) {
      bought.push_back(open[place]);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
  return bought;
}

void shuffle(Indices& order, Stream& chance) {
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[chance.below(i)]);
}

// Rows that one repeat may buy, cheapest first.
Indices offer(const Table& table, const ReplayOptions& options, bool all, Stream& chance) {
  Indices rows = range(0, table.buyable);
  if (all) return rows;
  shuffle(rows, chance);
  rows.resize(
      static_cast<std::size_t>(std::ceil(options.offered * static_cast<double>(table.buyable))));
  std::sort(rows.begin(), rows.end());
  return rows;
}

Indices buy(const Table& table,
            Strategy strategy,
            Indices order,
            const ReplayOptions& options,
            Stream& chance) {
  const double budget = options.budget * table.total;
  switch (strategy) {
    case Strategy::design:
      return buy_by_design(table, std::move(order), options);
    case Strategy::random:
      shuffle(order, chance);
      return buy_in_order(table, order, budget);
    case Strategy::cheapest:
      return buy_in_order(table, order, budget);
    case Strategy::grid: {
      // The densest even spacing by cost that is affordable.
      for (std::size_t step = 1; step <= order.size(); ++step) {
        Indices spaced;
        double cost = 0;
        for (std::size_t i = 0; i < order.size(); i += step) {
          spaced.push_back(order[i]);
          cost += table.cost(order[i]);
        }
        if (cost <= budget) return spaced;
      }
      return {};
    }
    case Strategy::all:
      return order;
  }
  return {};
}

struct Outcome {
  double r_squared = -HUGE_VAL, mean_error = HUGE_VAL, spent = 0;
  int runs = 0;
};

Outcome judge(const Table& table, const Indices& bought, const ReplayOptions& options) {
  Outcome outcome{.runs = static_cast<int>(bought.size())};
  for (const std::size_t i : bought) outcome.spent += table.cost(i) / table.total;
  const Indices target = range(table.buyable, table.runs.size());
  const std::vector<double> predicted =
      predict(learn(table, bought, options), points_of(table, target));
  double mean = 0;
  for (const std::size_t i : target)
    mean += table.runs[i].loss.value / static_cast<double>(target.size());
  double left = 0, spread = 0;
  outcome.mean_error = 0;
  for (std::size_t k = 0; k < target.size(); ++k) {
    const double loss = table.runs[target[k]].loss.value;
    left += std::pow(std::exp(predicted[k]) - loss, 2);
    spread += std::pow(loss - mean, 2);
    outcome.mean_error +=
        std::abs(predicted[k] - std::log(loss)) / static_cast<double>(target.size());
  }
  outcome.r_squared = 1 - left / spread;
  return outcome;
}

template <class Get>
std::vector<double> sorted(const std::vector<Outcome>& outcomes, const Get& get) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(get(outcome));
  std::sort(values.begin(), values.end());
  return values;
}

Score summarise(Strategy strategy, const std::vector<Outcome>& outcomes) {
  const std::size_t middle = outcomes.size() / 2;
  const std::vector<double> r = sorted(outcomes, [](const Outcome& o) { return o.r_squared; });
  return {strategy,
          outcomes.front().r_squared,
          r[middle],
          r.front(),
          r.back(),
          sorted(outcomes, [](const Outcome& o) { return o.mean_error; })[middle],
          static_cast<int>(sorted(outcomes, [](const Outcome& o) { return o.runs; })[middle]),
          sorted(outcomes, [](const Outcome& o) { return o.spent; })[middle]};
}

}  // namespace

std::string_view name(Strategy strategy) {
  switch (strategy) {
    case Strategy::design:
      return "design";
    case Strategy::random:
      return "random";
    case Strategy::cheapest:
      return "cheapest first";
    case Strategy::grid:
      return "grid";
    case Strategy::all:
      return "all runs";
  }
  return "";
}

Result<std::vector<Score>> replay(std::span<const fit::Observation> runs,
                                  const ReplayOptions& options) {
  const auto wrong = [](std::string what, std::string hint) {
    return Error{.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
  };
  std::vector<Error> problems;
  if (options.laws.empty()) problems.push_back(wrong("no law", "--law data-constrained"));
  for (const std::string& name : options.laws) {
    fit::Options fitting;
    fitting.law = name;
    for (Error& problem : fit::check(fitting)) problems.push_back(std::move(problem));
  }
  for (Error& problem : fit::check(options.misfit)) problems.push_back(std::move(problem));
  if (!(options.budget > 0 && options.budget <= 1))
    problems.push_back(wrong(fmt::format("a budget of {:g}", options.budget), "--budget 10%"));
  if (!(options.target > 0 && options.target < 1))
    problems.push_back(wrong(fmt::format("a target of {:g}", options.target), "--target 20%"));
  if (options.repeats < 1 || options.repeats > 1000)
    problems.push_back(wrong(fmt::format("{} repeats", options.repeats), "1 to 1000"));
  if (!(options.offered > 0 && options.offered <= 1))
    problems.push_back(wrong(fmt::format("{:g} of the runs offered", options.offered), "0.8"));
  if (!problems.empty()) return combine(std::move(problems), "the replay cannot be made");

  Table table{.runs = {runs.begin(), runs.end()}};
  std::sort(table.runs.begin(), table.runs.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.params.value * a.tokens.value, a.params, a.unique, a.loss) <
           std::tuple(b.params.value * b.tokens.value, b.params, b.unique, b.loss);
  });
  constexpr std::size_t kFewest = 20;
  if (table.runs.size() < kFewest)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} runs are too few to replay", table.runs.size()),
                 .hint = fmt::format("{} or more", kFewest)};
  const auto targets =
      static_cast<std::size_t>(std::ceil(options.target * static_cast<double>(table.runs.size())));
  table.buyable = table.runs.size() - std::min(targets, table.runs.size() - 1);
  for (std::size_t i = 0; i < table.buyable; ++i) table.total += table.cost(i);
  if (table.runs[table.buyable].loss == table.runs.back().loss && targets > 1)
    return Error{.kind = ErrorKind::input,
                 .what = "the losses of the most expensive runs are equal",
                 .hint = "choose another --target"};

  constexpr std::array<Strategy, 5> kAll = {
      Strategy::design, Strategy::random, Strategy::grid, Strategy::cheapest, Strategy::all};
  std::vector<std::vector<Outcome>> outcomes(
      kAll.size(), std::vector<Outcome>(static_cast<std::size_t>(options.repeats)));
  std::vector<std::pair<std::size_t, std::size_t>> work;
  for (std::size_t s = 0; s < kAll.size(); ++s)
    for (std::size_t r = 0; r < outcomes[s].size(); ++r) work.emplace_back(s, r);
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t w = next++; w < work.size(); w = next++) {
      const auto [s, r] = work[w];
      Stream chance(options.seed, StreamId::starts, r);
      Indices order = offer(table, options, r == 0, chance);
      outcomes[s][r] =
          judge(table, buy(table, kAll[s], std::move(order), options, chance), options);
    }
  };
  {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const unsigned threads = options.threads > 0 ? static_cast<unsigned>(options.threads) : cores;
    std::vector<std::jthread> helpers;
    for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(loop);
    loop();
  }
  std::vector<Score> scores;
  for (std::size_t s = 0; s < kAll.size(); ++s) scores.push_back(summarise(kAll[s], outcomes[s]));
  return scores;
}

}  // namespace ration::plan
