#include "fit/isoflop.h"

#include <fmt/format.h>

#include <algorithm>

#include "fit/isoflop/doubts.h"
#include "fit/isoflop/draws.h"
#include "fit/isoflop/levels.h"
#include "fit/isoflop/line.h"
#include "fit/isoflop/noise.h"
#include "fit/observations.h"

namespace ration::fit {
namespace {

Error option_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
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
  for (Error& problem : check(options.draws, kFewestIsoflopDraws))
    problems.push_back(std::move(problem));
  return problems;
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
                .interval = options.draws.interval,
                .seed = options.draws.seed};
  found.levels = levels_of(std::move(rows), options.tolerance);
  std::vector<Design> designs;
  for (const IsoflopLevel& level : found.levels) designs.push_back(design_of(level.runs));
  fit_levels(options.curve, designs, found.levels);
  find_noise(options, found);
  const VertexDraws draws = draw_vertices(options, designs, found);
  find_errors(designs, draws, found);
  find_line(options, draws, found);
  found.doubts = doubts_of(found);
  return found;
}

}  // namespace ration::fit
