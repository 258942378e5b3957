#include "fit/isoflop/doubts.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "fit/isoflop/profile.h"

namespace ration::fit {
namespace {

// "3 levels (1 Eflop, 2 Eflop, 4 Eflop)".
template <class Which>
std::string named(const Isoflop& found, const Which& which) {
  std::vector<std::string> names;
  for (const IsoflopLevel& level : found.levels)
    if (which(level)) names.push_back(format_quantity(level.flops.value, "flop"));
  if (names.empty()) return {};
  return fmt::format("{} ({})", counted(names.size(), "level"), fmt::join(names, ", "));
}

}  // namespace

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

}  // namespace ration::fit
