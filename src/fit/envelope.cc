#include "fit/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "fit/interpolant.h"
#include "fit/observations.h"

namespace ration::fit {
namespace {

Error option_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// The checkpoints of a run, ascending compute.
struct TrainingCurve {
  std::string run;
  double log_params = 0;
  std::vector<double> log_flops, losses;
};

// Checkpoints of equal compute become one of their mean loss.
TrainingCurve curve_of(const std::string& run, const std::vector<Observation>& rows) {
  std::map<double, std::pair<double, double>> sums;  // ln C -> weighted losses, weights
  for (const Observation& row : rows) {
    auto& [loss, weight] = sums[std::log(training_flops(row.params, row.tokens).value)];
    loss += row.weight * row.loss.value;
    weight += row.weight;
  }
  TrainingCurve curve{.run = run, .log_params = std::log(rows.front().params.value)};
  for (const auto& [log_flops, sum] : sums) {
    curve.log_flops.push_back(log_flops);
    curve.losses.push_back(sum.first / sum.second);
  }
  return curve;
}

struct Curves {
  std::vector<TrainingCurve> all;
  int short_curves = 0, single_rows = 0;
};

Result<Curves> curves_of(std::span<const Observation> checkpoints) {
  std::map<std::string, std::vector<Observation>> rows_of;
  for (const Observation& row : canonical(checkpoints)) rows_of[row.run].push_back(row);
  Curves curves;
  std::vector<Error> problems;
  for (const auto& [run, rows] : rows_of) {
    if (run.empty()) {
      curves.single_rows = static_cast<int>(rows.size());
      continue;
    }
    if (rows.front().params != rows.back().params)
      problems.push_back({.kind = ErrorKind::input,
                          .what = fmt::format("run {}: its checkpoints have {} and {} parameters",
                                              run,
                                              rows.front().params.value,
                                              rows.back().params.value)});
    TrainingCurve curve = curve_of(run, rows);
    if (curve.losses.size() < Interpolant::kLeast)
      ++curves.short_curves;
    else
      curves.all.push_back(std::move(curve));
  }
  if (!problems.empty()) return combine(std::move(problems), "some runs are no training curves");
  if (curves.all.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("no run has {} checkpoints or more", Interpolant::kLeast),
                 .hint =
                     "an envelope needs training curves: rows that name one run in a column run "
                     "or run_id (or --column run=NAME)"};
  return curves;
}

// The value at each checkpoint of the line through its surroundings, with normal weights.
std::vector<double> smoothed(const TrainingCurve& curve, double width) {
  if (width == 0) return curve.losses;
  constexpr double kReach = 5;  // widths: weights beyond are below 4e-6
  std::vector<double> values;
  std::size_t first = 0;
  for (std::size_t i = 0; i < curve.losses.size(); ++i) {
    const double at = curve.log_flops[i];
    while (curve.log_flops[first] < at - kReach * width) ++first;
    double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0;
    for (std::size_t k = first;
         k < curve.losses.size() && curve.log_flops[k] <= at + kReach * width;
         ++k) {
      const double u = curve.log_flops[k] - at, rise = curve.losses[k] - curve.losses[i];
      const double weight = std::exp(-u * u / (2 * width * width));
      s0 += weight;
      s1 += weight * u;
      s2 += weight * u * u;
      t0 += weight * rise;
      t1 += weight * u * rise;
    }
    const double determinant = s0 * s2 - s1 * s1;
    constexpr double kAlone = 1e-9;  // no neighbour counts
    values.push_back(curve.losses[i] + (determinant > kAlone * s0 * s0 * width * width
                                            ? (s2 * t0 - s1 * t1) / determinant
                                            : 0));
  }
  return values;
}

// The smoothed loss of every curve at every compute; NaN where the curve does not reach.
struct Grid {
  std::vector<double> log_flops;
  std::vector<std::vector<double>> losses;  // [compute][curve]
};

Grid grid_of(const std::vector<TrainingCurve>& curves, const EnvelopeOptions& options) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const TrainingCurve& curve : curves) {
    low = std::min(low, curve.log_flops.front());
    high = std::max(high, curve.log_flops.back());
  }
  Grid grid;
  for (int i = 0; i < options.grid; ++i)
    grid.log_flops.push_back(std::lerp(low, high, i / (options.grid - 1.0)));
  grid.losses.assign(grid.log_flops.size(), std::vector<double>(curves.size(), NAN));
  for (std::size_t k = 0; k < curves.size(); ++k) {
    const TrainingCurve& curve = curves[k];
    const Interpolant losses(curve.log_flops, smoothed(curve, options.smooth));
    for (std::size_t i = 0; i < grid.log_flops.size(); ++i)
      if (grid.log_flops[i] >= curve.log_flops.front() &&
          grid.log_flops[i] <= curve.log_flops.back())
        grid.losses[i][k] = losses(grid.log_flops[i]);
  }
  return grid;
}

struct Winner {
  std::size_t curve = 0;
  bool any = false;
  bool least = false, most = false;  // of the parameters that reach this compute

  bool counts() const { return any && !least && !most; }
};

Winner winner_at(const std::vector<TrainingCurve>& curves,
                 const std::vector<double>& losses,
                 const std::vector<std::size_t>& taken) {
  Winner winner;
  double lowest = HUGE_VAL, small = HUGE_VAL, large = -HUGE_VAL;
  for (const std::size_t k : taken) {
    if (std::isnan(losses[k])) continue;
    small = std::min(small, curves[k].log_params);
    large = std::max(large, curves[k].log_params);
    if (losses[k] < lowest) {
      lowest = losses[k];
      winner = {.curve = k, .any = true};
    }
  }
  if (!winner.any) return winner;
  winner.least = curves[winner.curve].log_params <= small;
  winner.most = curves[winner.curve].log_params >= large;
  return winner;
}

// The winner at each compute. The best size grows with compute: one that has beaten a smaller one
// need not meet it again, where the smaller one's curves have ended, to be known as better; nor one
// that will beat a larger one, where the larger one's curves have yet to begin.
std::vector<Winner> winners_of(const std::vector<TrainingCurve>& curves,
                               const Grid& grid,
                               const std::vector<std::size_t>& taken) {
  std::vector<Winner> winners;
  for (const std::vector<double>& losses : grid.losses)
    winners.push_back(winner_at(curves, losses, taken));
  std::set<double> has_beaten, will_beat;  // sizes
  for (Winner& winner : winners) {
    if (!winner.any) continue;
    const double size = curves[winner.curve].log_params;
    if (!winner.least) has_beaten.insert(size);
    winner.least = !has_beaten.contains(size);
  }
  for (auto winner = winners.rbegin(); winner != winners.rend(); ++winner) {
    if (!winner->any) continue;
    const double size = curves[winner->curve].log_params;
    if (!winner->most) will_beat.insert(size);
    winner->most = !will_beat.contains(size);
  }
  return winners;
}

// Sums over the winners of one size.
struct Step {
  double count = 0, log_flops = 0;
};
using Steps = std::map<double, Step>;  // by ln N

Steps steps_of(const std::vector<TrainingCurve>& curves,
               const Grid& grid,
               const std::vector<std::size_t>& taken) {
  Steps steps;
  const std::vector<Winner> winners = winners_of(curves, grid, taken);
  for (std::size_t i = 0; i < winners.size(); ++i) {
    if (!winners[i].counts()) continue;
    Step& step = steps[curves[winners[i].curve].log_params];
    ++step.count;
    step.log_flops += grid.log_flops[i];
  }
  return steps;
}

std::optional<PowerLine> line_through(const Steps& steps) {
  std::vector<double> c, n, weights;
  for (const auto& [log_params, step] : steps) {
    c.push_back(step.log_flops / step.count);
    n.push_back(log_params);
    weights.push_back(step.count);
  }
  return steps.size() < 2 ? std::nullopt : regress(c, n, weights);
}

std::vector<std::optional<PowerLine>> bootstrap(const std::vector<TrainingCurve>& curves,
                                                const Grid& grid,
                                                const EnvelopeOptions& options) {
  std::vector<std::optional<PowerLine>> lines(static_cast<std::size_t>(options.draws.resamples));
  parallel_for(lines.size(), options.draws.threads, [&](std::size_t draw) {
    Stream stream(options.draws.seed, StreamId::bootstrap, draw);
    std::set<std::size_t> drawn;  // a curve drawn twice wins no more than once
    for (std::size_t i = 0; i < curves.size(); ++i) drawn.insert(stream.below(curves.size()));
    lines[draw] = line_through(steps_of(curves, grid, {drawn.begin(), drawn.end()}));
  });
  return lines;
}

// The winners of all curves, and the sizes that win.
void find_winners(const std::vector<TrainingCurve>& curves,
                  const Grid& grid,
                  const std::vector<std::size_t>& all,
                  Envelope& found) {
  constexpr double kEnd = 1.1;
  std::map<double, EnvelopeStep> steps;
  int counting = 0, before_end = 0;
  const std::vector<Winner> winners = winners_of(curves, grid, all);
  for (std::size_t i = 0; i < winners.size(); ++i) {
    const Winner& winner = winners[i];
    if (!winner.any) continue;
    const TrainingCurve& curve = curves[winner.curve];
    const double flops = std::exp(grid.log_flops[i]);
    found.points.push_back(
        {.flops = Flops(flops),
         .params = Params(std::exp(curve.log_params)),
         .loss = Loss(grid.losses[i][winner.curve]),
         .run = curve.run,
         .edge = !winner.counts(),
         .before_end = curve.log_flops.back() > grid.log_flops[i] + std::log(kEnd)});
    if (!winner.counts()) continue;
    ++counting;
    before_end += found.points.back().before_end ? 1 : 0;
    EnvelopeStep& step = steps[curve.log_params];
    if (step.winners++ == 0) step.params = found.points.back().params, step.flops.low = flops;
    step.flops.high = flops;
  }
  if (counting > 0) found.before_end = static_cast<double>(before_end) / counting;
  for (const auto& [log_params, sums] : steps_of(curves, grid, all)) {
    steps[log_params].center = Flops(std::exp(sums.log_flops / sums.count));
    found.steps.push_back(steps[log_params]);
  }
}

double plain_exponent(const std::vector<EnvelopePoint>& points) {
  std::vector<double> c, n;
  for (const EnvelopePoint& point : points) {
    if (point.edge) continue;
    c.push_back(std::log(point.flops.value));
    n.push_back(std::log(point.params.value));
  }
  const std::optional<PowerLine> line =
      c.size() < 2 ? std::nullopt : regress(c, n, std::vector<double>(c.size(), 1.0));
  return line ? line->exponent : 0;
}

void find_line(const std::vector<TrainingCurve>& curves,
               const Grid& grid,
               const EnvelopeOptions& options,
               const std::vector<std::size_t>& all,
               Envelope& found) {
  const std::optional<PowerLine> best = line_through(steps_of(curves, grid, all));
  if (!best) return;
  OptimumLine line{.best = *best,
                   .interval = options.draws.interval,
                   .flops = {found.steps.front().flops.low, found.steps.front().flops.high}};
  for (const EnvelopeStep& step : found.steps) {
    line.flops.low = std::min(line.flops.low, step.flops.low);
    line.flops.high = std::max(line.flops.high, step.flops.high);
  }
  for (const std::optional<PowerLine>& drawn : bootstrap(curves, grid, options)) {
    if (drawn)
      line.draws.push_back(*drawn);
    else
      ++line.failed;
  }
  found.plain_exponent = plain_exponent(found.points);
  found.line = std::move(line);
}

std::vector<Doubt> doubts_of(std::span<const Observation> checkpoints, const Envelope& found) {
  std::vector<Doubt> doubts;
  if (!found.line)
    doubts.push_back(
        {.subject = "sizes",
         .what = fmt::format("a line needs two sizes that win, with smaller and larger "
                             "ones beside them; of {} sizes {} {}",
                             found.sizes,
                             found.steps.size(),
                             found.steps.size() == 1 ? "does" : "do"),
         .fatal = true});
  else if (found.steps.size() == 2)
    doubts.push_back(
        {.subject = "sizes", .what = "a line through two sizes has nothing to check it"});
  constexpr double kFew = 0.05;
  if (found.before_end > kFew)
    doubts.push_back(
        {.subject = "schedule",
         .what = fmt::format("{:.0f} % of the winners are curves that go on beyond; they are valid "
                             "only if the learning rate had come down there",
                             100 * found.before_end)});
  const auto repeating = std::count_if(checkpoints.begin(),
                                       checkpoints.end(),
                                       [](const Observation& r) { return r.unique < r.tokens; });
  if (repeating > 0)
    doubts.push_back({.subject = "runs",
                      .what = fmt::format("{} of {} checkpoints repeat their tokens, for which the "
                                          "line has no place; --where epochs<=1 leaves them out",
                                          repeating,
                                          checkpoints.size())});
  if (found.line)
    for (Doubt& doubt : line_doubts(*found.line)) doubts.push_back(std::move(doubt));
  return doubts;
}

}  // namespace

std::vector<Error> check(const EnvelopeOptions& options) {
  std::vector<Error> problems;
  if (options.grid < 100 || options.grid > 100000)
    problems.push_back(
        option_error(fmt::format("{} values of compute", options.grid), "from 100 to 100000"));
  if (!(options.smooth >= 0 && options.smooth <= 1))
    problems.push_back(option_error(fmt::format("a smoothing of {}", options.smooth),
                                    "0 (none) to 1, in units of ln C"));
  for (Error& problem : check(options.draws, 0)) problems.push_back(std::move(problem));
  return problems;
}

bool Envelope::trusted() const {
  return std::none_of(doubts.begin(), doubts.end(), [](const Doubt& d) { return d.fatal; });
}

Result<Envelope> fit_envelope(std::span<const Observation> checkpoints,
                              const EnvelopeOptions& options) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the options of the envelope are wrong");
  if (Result<void> usable = check_runs(checkpoints); !usable) return std::move(usable).error();
  Result<Curves> curves = curves_of(checkpoints);
  if (!curves) return std::move(curves).error();

  std::set<double> sizes;
  std::vector<std::size_t> all;
  for (const TrainingCurve& curve : curves->all) {
    sizes.insert(curve.log_params);
    all.push_back(all.size());
  }
  Envelope found{.curves = static_cast<int>(all.size()),
                 .sizes = static_cast<int>(sizes.size()),
                 .short_curves = curves->short_curves,
                 .single_rows = curves->single_rows,
                 .interval = options.draws.interval,
                 .seed = options.draws.seed};
  const Grid grid = grid_of(curves->all, options);
  find_winners(curves->all, grid, all, found);
  find_line(curves->all, grid, options, all, found);
  found.doubts = doubts_of(checkpoints, found);
  return found;
}

}  // namespace ration::fit
