#include "fit/isoflop.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/random.h"
#include "base/text.h"
#include "fit/interpolant.h"
#include "fit/observations.h"
#include "fit/parallel.h"

namespace ration::fit {
namespace {

constexpr int kLeastSizes = 3;

Error option_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

double log_flops(const Observation& run) {
  return std::log(training_flops(run.params, run.tokens).value);
}

// What a profile is fitted with again and again: everything but the losses.
struct Design {
  std::vector<double> x;  // ln N, ascending
  std::vector<double> weights;
  std::vector<double> sizes;  // distinct values of x
  double center = 0;
  // Coefficients of the parabola out of the losses; empty where sizes are fewer than 3.
  Eigen::Matrix<double, 3, Eigen::Dynamic> solve;

  double step() const {  // mean, between sizes
    return (sizes.back() - sizes.front()) / static_cast<double>(sizes.size() - 1);
  }
};

Design design_of(const std::vector<Observation>& runs) {
  Design design;
  for (const Observation& run : runs) {
    design.x.push_back(std::log(run.params.value));
    design.weights.push_back(run.weight);
    if (design.sizes.empty() || design.x.back() != design.sizes.back())
      design.sizes.push_back(design.x.back());
  }
  const std::size_t n = runs.size();
  design.center = std::accumulate(design.x.begin(), design.x.end(), 0.0) / static_cast<double>(n);
  if (design.sizes.size() < kLeastSizes) return design;
  Eigen::MatrixX3d rows(n, 3);
  Eigen::VectorXd roots(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    const double u = design.x[i] - design.center;
    roots[row] = std::sqrt(design.weights[i]);
    rows.row(row) = roots[row] * Eigen::RowVector3d(1, u, u * u);
  }
  design.solve = rows.colPivHouseholderQr().solve(Eigen::MatrixXd(roots.asDiagonal()));
  return design;
}

Parabola parabola_of(const Design& design, const std::vector<double>& losses) {
  const Eigen::Vector3d c =
      design.solve *
      Eigen::Map<const Eigen::VectorXd>(losses.data(), static_cast<Eigen::Index>(losses.size()));
  return {.center = design.center, .c0 = c[0], .c1 = c[1], .c2 = c[2]};
}

// Where a profile is lowest, or why it has no such place. The reason is text without allocation,
// because most of them are asked for in draws.
struct Vertex {
  double x = 0, loss = 0;
  const char* rejected = nullptr;
};

Vertex parabola_vertex(const Design& design, const std::vector<double>& losses) {
  const Parabola p = parabola_of(design, losses);
  if (!(p.c2 > 0)) return {.rejected = "the parabola opens downwards"};
  const double x = p.center - p.c1 / (2 * p.c2);
  if (x <= design.sizes.front()) return {.rejected = "its vertex lies below the smallest model"};
  if (x >= design.sizes.back()) return {.rejected = "its vertex lies above the largest model"};
  return {.x = x, .loss = p.c0 - p.c1 * p.c1 / (4 * p.c2)};
}

Vertex akima_vertex(const Design& design, const std::vector<double>& losses) {
  if (design.sizes.size() < Interpolant::kLeast)
    return {.rejected = "an interpolant needs four sizes"};
  std::vector<double> means;  // of ln L, one a size
  for (std::size_t i = 0; i < losses.size();) {
    double sum = 0, weight = 0;
    for (const double size = design.x[i]; i < losses.size() && design.x[i] == size; ++i) {
      sum += design.weights[i] * std::log(losses[i]);
      weight += design.weights[i];
    }
    means.push_back(sum / weight);
  }
  const auto [x, log_loss] = Interpolant(design.sizes, means).lowest();
  if (x <= design.sizes.front()) return {.rejected = "its smallest model has the least loss"};
  if (x >= design.sizes.back()) return {.rejected = "its largest model has the least loss"};
  return {.x = x, .loss = std::exp(log_loss)};
}

Vertex vertex_of(ProfileCurve curve, const Design& design, const std::vector<double>& losses) {
  if (design.sizes.size() < kLeastSizes) return {.rejected = "fewer than three sizes"};
  return curve == ProfileCurve::parabola ? parabola_vertex(design, losses)
                                         : akima_vertex(design, losses);
}

// The last checkpoint of each run.
std::vector<Observation> last_rows(std::vector<Observation> rows) {
  std::map<std::string, double> last;
  for (const Observation& row : rows)
    if (!row.run.empty()) last[row.run] = std::max(last[row.run], row.tokens.value);
  std::erase_if(rows, [&](const Observation& row) {
    return !row.run.empty() && row.tokens.value < last[row.run];
  });
  return rows;
}

// Runs of nearly equal compute, ascending; isoflop.h says how they are found.
std::vector<IsoflopLevel> levels_of(std::vector<Observation> runs, double tolerance) {
  std::stable_sort(runs.begin(), runs.end(), [](const Observation& a, const Observation& b) {
    return log_flops(a) < log_flops(b);
  });
  constexpr double kRounding = 1e-9;
  const double width = std::log1p(tolerance) + kRounding;
  std::vector<IsoflopLevel> levels;
  while (!runs.empty()) {
    std::size_t best = 0, most = 0;
    for (std::size_t first = 0, end = 0; first < runs.size(); ++first) {
      while (end < runs.size() && log_flops(runs[end]) <= log_flops(runs[first]) + width) ++end;
      if (end - first > most) best = first, most = end - first;
    }
    const auto begin = runs.begin() + static_cast<std::ptrdiff_t>(best);
    const auto end = begin + static_cast<std::ptrdiff_t>(most);
    levels.push_back({.runs = {begin, end}});
    runs.erase(begin, end);
  }
  for (IsoflopLevel& level : levels) {
    double sum = 0;
    for (const Observation& run : level.runs) sum += log_flops(run);
    level.flops = Flops(std::exp(sum / static_cast<double>(level.runs.size())));
    level.range = {std::exp(log_flops(level.runs.front())), std::exp(log_flops(level.runs.back()))};
    level.runs = canonical(level.runs);
  }
  std::sort(levels.begin(), levels.end(), [](const IsoflopLevel& a, const IsoflopLevel& b) {
    return a.flops < b.flops;
  });
  return levels;
}

void fit_level(ProfileCurve curve, const Design& design, IsoflopLevel& level) {
  level.losses.clear();
  for (const Observation& run : level.runs)
    level.losses.push_back(run.loss.value *
                           std::exp(level.slope * (std::log(level.flops.value) - log_flops(run))));
  level.sizes = static_cast<int>(design.sizes.size());
  if (level.sizes >= kLeastSizes) level.parabola = parabola_of(design, level.losses);
  const Vertex vertex = vertex_of(curve, design, level.losses);
  level.rejected = vertex.rejected == nullptr ? "" : vertex.rejected;
  if (vertex.rejected != nullptr) return;
  level.vertex = Params(std::exp(vertex.x));
  level.least = Loss(vertex.loss);
  const double below = vertex.x - design.sizes.front(), above = design.sizes.back() - vertex.x;
  level.lopsided = std::max(below, above) / std::min(below, above);
}

// d ln(least loss) / d ln C at each level: that of a parabola through the levels with a vertex, of
// a line where they are fewer than five, 0 where fewer than two.
void find_slopes(std::vector<IsoflopLevel>& levels) {
  constexpr Eigen::Index kShowCurvature = 5;
  std::vector<double> c, l;
  for (IsoflopLevel& level : levels) {
    level.slope = 0;
    if (!level.rejected.empty()) continue;
    c.push_back(std::log(level.flops.value));
    l.push_back(std::log(level.least.value));
  }
  const auto n = static_cast<Eigen::Index>(c.size());
  if (n < 2) return;
  const double center = std::accumulate(c.begin(), c.end(), 0.0) / static_cast<double>(n);
  const Eigen::VectorXd u = Eigen::Map<Eigen::VectorXd>(c.data(), n).array() - center;
  Eigen::MatrixXd powers(n, n < kShowCurvature ? 2 : 3);
  for (Eigen::Index k = 0; k < powers.cols(); ++k) powers.col(k) = u.array().pow(k);
  const Eigen::VectorXd fitted =
      powers.colPivHouseholderQr().solve(Eigen::Map<Eigen::VectorXd>(l.data(), n));
  const double bend = fitted.size() > 2 ? 2 * fitted[2] : 0;
  for (IsoflopLevel& level : levels) {
    const double at = std::clamp(std::log(level.flops.value), c.front(), c.back());
    level.slope = fitted[1] + bend * (at - center);
  }
}

// A sum of squares of ln L with its degrees of freedom.
struct Squares {
  double sum = 0;
  int freedom = 0;
};

Squares between_replicas(const std::vector<IsoflopLevel>& levels) {
  Squares squares;
  const auto same = [](const Observation& a, const Observation& b) {
    return a.params == b.params && a.tokens == b.tokens && a.unique == b.unique;
  };
  for (const IsoflopLevel& level : levels)
    for (std::size_t i = 0, end = 0; i < level.runs.size(); i = end) {
      double mean = 0;
      for (end = i; end < level.runs.size() && same(level.runs[i], level.runs[end]); ++end)
        mean += std::log(level.runs[end].loss.value);
      mean /= static_cast<double>(end - i);
      for (std::size_t k = i; k < end; ++k)
        squares.sum += std::pow(std::log(level.runs[k].loss.value) - mean, 2);
      squares.freedom += static_cast<int>(end - i) - 1;
    }
  return squares;
}

Squares about_parabolas(const std::vector<IsoflopLevel>& levels) {
  Squares squares;
  for (const IsoflopLevel& level : levels) {
    const int freedom = static_cast<int>(level.runs.size()) - 3;
    if (level.sizes < kLeastSizes || freedom < 1) continue;
    for (std::size_t i = 0; i < level.runs.size(); ++i)
      squares.sum += std::pow(
          level.losses[i] / level.parabola.loss(std::log(level.runs[i].params.value)) - 1, 2);
    squares.freedom += freedom;
  }
  return squares;
}

// Standard deviation of ln L between seeds, growing with the loss.
double growing_noise(double loss) {
  constexpr double kLowLoss = 3, kHighLoss = 6, kLow = 0.005, kHigh = 0.1;  // nats
  const double share =
      std::clamp(std::log(loss / kLowLoss) / std::log(kHighLoss / kLowLoss), 0.0, 1.0);
  return kLow * std::pow(kHigh / kLow, share) / loss;
}

void find_noise(const IsoflopOptions& options, Isoflop& found) {
  if (options.noise == Noise::given) {
    found.noise = options.noise_sd;
    found.noise_source = "given";
    return;
  }
  if (options.noise == Noise::growing) {
    double sum = 0;
    for (const IsoflopLevel& level : found.levels)
      for (const double loss : level.losses) sum += std::pow(growing_noise(loss), 2);
    found.noise = std::sqrt(sum / found.runs);
    found.noise_source = "growing with the loss";
    return;
  }
  constexpr int kEnoughReplicas = 5;  // the estimate is then within a third in two of three cases
  const Squares replicas = between_replicas(found.levels);
  const bool enough = replicas.freedom >= kEnoughReplicas;
  const Squares squares = enough ? replicas : about_parabolas(found.levels);
  found.noise_freedom = squares.freedom;
  found.noise_source = enough                ? "from replicas"
                       : squares.freedom > 0 ? "from residuals of the parabolas"
                                             : "unknown";
  if (squares.freedom > 0) found.noise = std::sqrt(squares.sum / squares.freedom);
}

std::vector<double> noise_of(const IsoflopOptions& options,
                             const Isoflop& found,
                             const IsoflopLevel& level) {
  std::vector<double> noise(level.losses.size(), found.noise);
  if (options.noise == Noise::growing)
    std::transform(level.losses.begin(), level.losses.end(), noise.begin(), growing_noise);
  return noise;
}

// Error of x* by the delta method, for losses with independent noise.
double delta_error(const Design& design,
                   const IsoflopLevel& level,
                   const std::vector<double>& noise) {
  const Parabola& p = level.parabola;
  const Eigen::RowVector3d gradient(0, -1 / (2 * p.c2), p.c1 / (2 * p.c2 * p.c2));
  const Eigen::RowVectorXd pull = gradient * design.solve;
  double variance = 0;
  for (std::size_t i = 0; i < noise.size(); ++i)
    variance += std::pow(pull[static_cast<Eigen::Index>(i)] * noise[i] * level.losses[i], 2);
  return std::sqrt(variance);
}

// x* of every level in every draw, NaN where the draw has none, by the noise of the losses alone.
struct Draws {
  std::vector<std::vector<double>> vertices;  // [level][draw]
  std::vector<std::vector<double>> normals;   // standard normal, for scatter beyond that noise
};

Draws draw_vertices(const IsoflopOptions& options,
                    const std::vector<Design>& designs,
                    const Isoflop& found) {
  const auto count = static_cast<std::size_t>(options.resamples);
  const std::size_t size = found.levels.size();
  Draws draws{std::vector(size, std::vector<double>(count, NAN)),
              std::vector(size, std::vector<double>(count))};
  std::vector<std::vector<double>> noise;
  for (const IsoflopLevel& level : found.levels) noise.push_back(noise_of(options, found, level));
  parallel_for(count, options.threads, [&](std::size_t draw) {
    Stream stream(options.seed, StreamId::bootstrap, draw);
    // An estimate of the noise is uncertain itself: s^2 freedom / chi^2 instead of s^2, which is
    // what makes a t distribution out of a normal one.
    double chi2 = 0;
    for (int i = 0; i < found.noise_freedom; ++i) chi2 += std::pow(stream.normal(), 2);
    const double factor = found.noise_freedom > 0 ? std::sqrt(found.noise_freedom / chi2) : 1;
    for (std::size_t j = 0; j < size; ++j) {
      const IsoflopLevel& level = found.levels[j];
      draws.normals[j][draw] = stream.normal();
      std::vector<double> losses = level.losses;
      for (std::size_t i = 0; i < losses.size(); ++i)
        losses[i] *= std::exp(factor * noise[j][i] * stream.normal());
      if (!level.rejected.empty()) continue;
      if (options.error == VertexError::delta) {
        const double error = delta_error(designs[j], level, noise[j]);
        draws.vertices[j][draw] = std::log(level.vertex.value) + factor * error * stream.normal();
        continue;
      }
      const Vertex vertex = vertex_of(options.curve, designs[j], losses);
      if (vertex.rejected == nullptr) draws.vertices[j][draw] = vertex.x;
    }
  });
  return draws;
}

// Errors of the vertices.
void find_errors(const std::vector<Design>& designs, const Draws& draws, Isoflop& found) {
  constexpr double kOneSigma = 0.6827, kFloor = 1.0 / 3;  // of a grid step
  for (std::size_t j = 0; j < found.levels.size(); ++j) {
    IsoflopLevel& level = found.levels[j];
    if (!level.rejected.empty()) continue;
    std::vector<double> seen;
    for (const double x : draws.vertices[j])
      if (!std::isnan(x)) seen.push_back(x);
    level.found = static_cast<double>(seen.size()) / static_cast<double>(draws.vertices[j].size());
    if (!seen.empty()) {
      const Span middle = percentile_interval(seen, kOneSigma);
      level.drawn_error = (middle.high - middle.low) / 2;
    }
    level.error = std::max(level.drawn_error, kFloor * designs[j].step());
  }
}

// The line through the vertices that are numbers.
std::optional<PowerLine> line_through(const std::vector<IsoflopLevel>& levels,
                                      const std::vector<double>& vertices) {
  std::vector<double> c, x, weights;
  for (std::size_t j = 0; j < levels.size(); ++j) {
    if (std::isnan(vertices[j])) continue;
    c.push_back(std::log(levels[j].flops.value));
    x.push_back(vertices[j]);
    weights.push_back(1 / std::pow(levels[j].error, 2));
  }
  return c.size() < 2 ? std::nullopt : regress(c, x, weights);
}

// Standard deviation of the vertices about the line beyond what the draws explain: tau of sum w r^2
// = sum w (s^2 + tau^2) (1 - h), with s the drawn error, w the weight and h the leverage of a
// level.
double excess_scatter(const std::vector<IsoflopLevel>& levels, const PowerLine& line) {
  double sum = 0, mean = 0, spread = 0;
  const auto each = [&](const auto& visit) {
    for (const IsoflopLevel& level : levels)
      if (level.rejected.empty())
        visit(level, std::log(level.flops.value), 1 / std::pow(level.error, 2));
  };
  each([&](const IsoflopLevel&, double c, double w) { sum += w, mean += w * c; });
  mean /= sum;
  each([&](const IsoflopLevel&, double c, double w) { spread += w * std::pow(c - mean, 2); });
  double seen = 0, explained = 0, freedom = 0;
  each([&](const IsoflopLevel& level, double c, double w) {
    const double free = 1 - w / sum - w * std::pow(c - mean, 2) / spread;
    seen += w * std::pow(std::log(level.vertex.value) - line.log_params(c), 2);
    explained += w * std::pow(level.drawn_error, 2) * free;
    freedom += w * free;
  });
  return std::sqrt(std::max(0.0, (seen - explained) / freedom));
}

void find_line(const IsoflopOptions& options, const Draws& draws, Isoflop& found) {
  std::vector<double> vertices;
  Span flops{HUGE_VAL, 0};
  for (const IsoflopLevel& level : found.levels) {
    vertices.push_back(level.rejected.empty() ? std::log(level.vertex.value) : NAN);
    if (!level.rejected.empty()) continue;
    flops = {std::min(flops.low, level.flops.value), std::max(flops.high, level.flops.value)};
  }
  const std::optional<PowerLine> best = line_through(found.levels, vertices);
  if (!best) return;
  constexpr int kShowScatter = 4;  // levels, for two degrees of freedom
  found.scatter_known = found.used() >= kShowScatter;
  if (found.scatter_known) found.scatter = excess_scatter(found.levels, *best);
  OptimumLine line{.best = *best, .interval = options.interval, .flops = flops};
  for (std::size_t draw = 0; draw < static_cast<std::size_t>(options.resamples); ++draw) {
    for (std::size_t j = 0; j < vertices.size(); ++j) {
      const IsoflopLevel& level = found.levels[j];
      const double added =
          found.scatter_known
              ? found.scatter
              : std::sqrt(std::pow(level.error, 2) - std::pow(level.drawn_error, 2));
      vertices[j] = draws.vertices[j][draw] + added * draws.normals[j][draw];
    }
    if (const std::optional<PowerLine> drawn = line_through(found.levels, vertices))
      line.draws.push_back(*drawn);
    else
      ++line.failed;
  }
  found.line = std::move(line);
}

// "3 levels (1 Eflop, 2 Eflop, 4 Eflop)".
template <class Which>
std::string named(const Isoflop& found, const Which& which) {
  std::vector<std::string> names;
  for (const IsoflopLevel& level : found.levels)
    if (which(level)) names.push_back(format_quantity(level.flops.value, "flop"));
  if (names.empty()) return {};
  return fmt::format(
      "{} level{} ({})", names.size(), names.size() == 1 ? "" : "s", fmt::join(names, ", "));
}

std::vector<Doubt> doubts_of(const Isoflop& found) {
  std::vector<Doubt> doubts;
  const auto has_vertex = [](const IsoflopLevel& level) { return level.rejected.empty(); };
  if (!found.line)
    doubts.push_back({.subject = "levels",
                      .what = fmt::format("a line needs two levels of compute with a vertex inside "
                                          "their sizes; there {} {}",
                                          found.used() == 1 ? "is" : "are",
                                          found.used()),
                      .fatal = true});
  else if (found.used() == 2)
    doubts.push_back(
        {.subject = "levels", .what = "a line through two levels has nothing to check it"});
  if (const std::string which = named(
          found,
          [](const IsoflopLevel& l) { return !l.rejected.empty() && l.sizes >= kLeastSizes; });
      !which.empty())
    doubts.push_back({.subject = "levels", .what = "no vertex: " + which});
  constexpr double kLopsided = 2;
  if (const std::string which = named(
          found, [&](const IsoflopLevel& l) { return has_vertex(l) && l.lopsided > kLopsided; });
      !which.empty() && found.curve == ProfileCurve::parabola)
    doubts.push_back({.subject = "levels",
                      .what = "sizes reach more than twice as far to one side of the vertex, where "
                              "a parabola is biased: " +
                              which});
  constexpr double kOften = 0.9;
  if (const std::string which =
          named(found, [&](const IsoflopLevel& l) { return has_vertex(l) && l.found < kOften; });
      !which.empty())
    doubts.push_back(
        {.subject = "levels",
         .what = "the vertex is lost in more than a tenth of the draws of the noise: " + which});
  if (found.noise_source == "unknown")
    doubts.push_back({.subject = "noise",
                      .what =
                          "neither replicas nor levels of four runs show it; errors are a third "
                          "of a step between sizes, unless --noise gives it"});
  double errors = 0;
  for (const IsoflopLevel& level : found.levels)
    if (has_vertex(level)) errors += std::pow(level.error, 2) / found.used();
  if (found.scatter > std::sqrt(errors))
    doubts.push_back({.subject = "line",
                      .what = fmt::format("the levels scatter about it by {:.2g} % in N_opt beyond "
                                          "their noise, more than their errors of {:.2g} %; the "
                                          "intervals have it",
                                          100 * found.scatter,
                                          100 * std::sqrt(errors))});
  int repeating = 0;
  for (const IsoflopLevel& level : found.levels)
    for (const Observation& run : level.runs) repeating += run.unique < run.tokens ? 1 : 0;
  if (repeating > 0)
    doubts.push_back({.subject = "runs",
                      .what = fmt::format("{} of {} repeat their tokens, for which the line has no "
                                          "place; in a table, --where epochs<=1 leaves them out",
                                          repeating,
                                          found.runs)});
  if (found.line)
    for (Doubt& doubt : line_doubts(*found.line)) doubts.push_back(std::move(doubt));
  return doubts;
}

}  // namespace

std::vector<Error> check(const IsoflopOptions& options) {
  std::vector<Error> problems;
  if (!(options.tolerance >= 0 && options.tolerance <= 1))
    problems.push_back(option_error(fmt::format("a tolerance of {}", options.tolerance),
                                    "0 to 1, the share by which compute differs within a level"));
  if (options.noise == Noise::given && !(options.noise_sd > 0 && options.noise_sd <= 1))
    problems.push_back(option_error(fmt::format("a noise of {}", options.noise_sd),
                                    "above 0, at most 1, in units of ln L; 0.003 is usual"));
  if (options.error == VertexError::delta && options.curve == ProfileCurve::akima)
    problems.push_back(option_error("the delta method is for parabolas",
                                    "draw the losses again for errors of an interpolant"));
  if (options.resamples < 100 || options.resamples > 100000)
    problems.push_back(
        option_error(fmt::format("{} draws", options.resamples), "from 100 to 100000"));
  if (!(options.interval > 0 && options.interval < 1))
    problems.push_back(option_error(fmt::format("an interval of {}", options.interval),
                                    "a probability between 0 and 1, such as 0.9"));
  if (options.threads < 0)
    problems.push_back(option_error("a negative number of threads", "0 uses every core"));
  return problems;
}

double Parabola::loss(double log_params) const {
  const double u = log_params - center;
  return c0 + u * (c1 + u * c2);
}

bool Isoflop::trusted() const {
  return std::none_of(doubts.begin(), doubts.end(), [](const Doubt& d) { return d.fatal; });
}

int Isoflop::used() const {
  return static_cast<int>(std::count_if(
      levels.begin(), levels.end(), [](const IsoflopLevel& l) { return l.rejected.empty(); }));
}

Result<Isoflop> fit_isoflop(std::span<const Observation> runs, const IsoflopOptions& options) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the options of the profiles are wrong");
  if (Result<void> usable = check_runs(runs); !usable) return std::move(usable).error();

  std::vector<Observation> rows = canonical(runs);
  const std::size_t all = rows.size();
  rows = last_rows(std::move(rows));
  Isoflop found{.curve = options.curve,
                .runs = static_cast<int>(rows.size()),
                .earlier = static_cast<int>(all - rows.size()),
                .tolerance = options.tolerance,
                .interval = options.interval,
                .seed = options.seed};
  found.levels = levels_of(std::move(rows), options.tolerance);
  std::vector<Design> designs;
  for (const IsoflopLevel& level : found.levels) designs.push_back(design_of(level.runs));
  constexpr int kPasses = 4;  // the slope settles within 1e-4 of itself on published runs
  for (int pass = 0; pass < kPasses; ++pass) {
    if (pass > 0) find_slopes(found.levels);
    for (std::size_t j = 0; j < designs.size(); ++j)
      fit_level(options.curve, designs[j], found.levels[j]);
  }
  find_noise(options, found);
  const Draws draws = draw_vertices(options, designs, found);
  find_errors(designs, draws, found);
  find_line(options, draws, found);
  found.doubts = doubts_of(found);
  return found;
}

}  // namespace ration::fit
