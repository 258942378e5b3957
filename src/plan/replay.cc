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

fit::Options quiet(const ReplayOptions& options) {
  fit::Options quick;
  quick.law = options.law;
  quick.delta = options.delta;
  quick.resamples = 0;
  quick.profile_points = 0;
  quick.threads = 1;
  return quick;
}

// The runs that were bought, each with what it counts for the target.
std::vector<fit::Observation> pick(const Table& table, const Indices& rows, double focus) {
  const fit::Points targets = points_of(table, range(table.buyable, table.runs.size()));
  const std::vector<double> weights = fit::relevance(points_of(table, rows), targets, focus);
  std::vector<fit::Observation> picked;
  for (const std::size_t i : rows) {
    fit::Observation run = table.runs[i];
    run.weight = weights[picked.size()];
    picked.push_back(std::move(run));
  }
  return picked;
}

// Buys in rounds: what is known so far is fitted, and a tenth of the budget is spent by that fit.
// The first rounds know nothing; they look around a typical law.
Indices buy_by_design(const Table& table, const ReplayOptions& options, Stream& chance) {
  constexpr double kRounds = 12;
  const fit::Law& law = *fit::find_law(options.law);
  const double budget = options.budget * table.total;
  double left = budget;
  Indices bought;
  Indices open = range(0, table.buyable);
  for (std::size_t i = open.size(); i > 1; --i) std::swap(open[i - 1], open[chance.below(i)]);
  const fit::Points targets = points_of(table, range(table.buyable, table.runs.size()));
  std::vector<fit::Mode> modes = {{&law, law.typical()}};
  double noise = 0.01;
  while (!open.empty()) {
    const bool enough = bought.size() > law.size() + 1;
    if (enough) {
      const Result<fit::Fit> fit = fit::fit_law(pick(table, bought, options.focus), quiet(options));
      if (fit) {
        modes = fit::modes_of(*fit);
        noise = std::max(fit::noise_of(*fit), 0.003);
      }
    }
    const fit::Points known = points_of(table, bought);
    const fit::Points offered = points_of(table, open);
    const std::vector<double> weights = fit::relevance(known, targets, options.focus);
    const std::vector<double> worth = fit::relevance(offered, targets, options.focus);
    const double share = enough ? budget / kRounds : budget / 3;
    fit::Choosing choosing;
    choosing.gamma = options.gamma;
    choosing.count = enough ? 8 : static_cast<int>(law.size()) + 2;
    choosing.spend = std::min(left, std::max(share, table.cost(0)));
    fit::Selection chosen =
        fit::choose_runs(modes, known, weights, noise, offered, worth, targets, choosing);
    if (chosen.runs.empty()) {
      choosing.spend = left;  // the round's share buys nothing: what is left may
      choosing.count = 1;
      chosen = fit::choose_runs(modes, known, weights, noise, offered, worth, targets, choosing);
    }
    if (chosen.runs.empty()) break;
    left -= chosen.spent;
    Indices gone;
    for (const fit::Chosen& run : chosen.runs) gone.push_back(run.candidate);
    std::sort(gone.rbegin(), gone.rend());
    for (const std::size_t place : gone) {
      bought.push_back(open[place]);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
  return bought;
}

Indices buy(const Table& table, Strategy strategy, const ReplayOptions& options, Stream& chance) {
  const double budget = options.budget * table.total;
  Indices order = range(0, table.buyable);
  switch (strategy) {
    case Strategy::design:
      return buy_by_design(table, options, chance);
    case Strategy::random:
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[chance.below(i)]);
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
  const Result<fit::Fit> fit = fit::fit_law(pick(table, bought, options.focus), quiet(options));
  if (!fit) return outcome;
  const Indices target = range(table.buyable, table.runs.size());
  const std::vector<fit::Prediction> predicted = fit::predict(*fit, points_of(table, target));
  double mean = 0;
  for (const std::size_t i : target)
    mean += table.runs[i].loss.value / static_cast<double>(target.size());
  double left = 0, spread = 0;
  outcome.mean_error = 0;
  for (std::size_t k = 0; k < target.size(); ++k) {
    const double loss = table.runs[target[k]].loss.value;
    left += std::pow(predicted[k].value - loss, 2);
    spread += std::pow(loss - mean, 2);
    outcome.mean_error +=
        std::abs(std::log(predicted[k].value / loss)) / static_cast<double>(target.size());
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
  std::vector<Error> problems = fit::check(quiet(options));
  if (!(options.budget > 0 && options.budget <= 1))
    problems.push_back(wrong(fmt::format("a budget of {:g}", options.budget), "--budget 10%"));
  if (!(options.target > 0 && options.target < 1))
    problems.push_back(wrong(fmt::format("a target of {:g}", options.target), "--target 20%"));
  if (options.repeats < 1 || options.repeats > 1000)
    problems.push_back(wrong(fmt::format("{} repeats", options.repeats), "1 to 1000"));
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
  std::vector<std::vector<Outcome>> outcomes;
  for (const Strategy strategy : kAll) {
    const bool chance = strategy == Strategy::design || strategy == Strategy::random;
    outcomes.emplace_back(chance ? static_cast<std::size_t>(options.repeats) : 1);
  }
  std::vector<std::pair<std::size_t, std::size_t>> work;
  for (std::size_t s = 0; s < kAll.size(); ++s)
    for (std::size_t r = 0; r < outcomes[s].size(); ++r) work.emplace_back(s, r);
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t w = next++; w < work.size(); w = next++) {
      const auto [s, r] = work[w];
      Stream stream(options.seed, StreamId::starts, r);
      outcomes[s][r] = judge(table, buy(table, kAll[s], options, stream), options);
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
