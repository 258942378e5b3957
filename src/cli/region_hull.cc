#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/region_hull_text.h"
#include "region/hull.h"

namespace ration::cli {
namespace {

struct HullOptions {
  std::size_t samples = 64;
  std::uint64_t seed = 0;
  bool triangle = false;
};

Result<HullOptions> hull_options(const Arguments& arguments) {
  OptionReader read{arguments};
  HullOptions options;
  options.samples = static_cast<std::size_t>(read.whole("samples", 0, 100'000).value_or(64));
  options.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  options.triangle = arguments.flag("triangle");
  if (options.triangle && arguments.positional.size() != 3)
    read.refuse(fmt::format("--triangle is for three models, not {}", arguments.positional.size()),
                "name three, or leave it out");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

HullPoints points_of(std::size_t members, const HullOptions& options) {
  HullPoints hull{.members = members, .seed = options.seed, .samples = {}, .triangle = {}};
  for (std::uint64_t i = 0; i < options.samples; ++i)
    hull.samples.push_back(region::hull_weights(members, options.seed, i));
  if (options.triangle) hull.triangle = region::triangle_weights(10);
  return hull;
}

Result<int> run_hull(const Arguments& arguments) {
  Result<HullOptions> options = hull_options(arguments);
  if (!options) return std::move(options).error();
  HullPoints points = points_of(arguments.positional.size(), *options);
  Result<PointLosses> losses = losses_of_points(arguments, "hull", points.points());
  if (!losses) return std::move(losses).error();
  const HullAnswer answer = hull_answer(std::move(points), *losses);
  if (Result<void> done = write_asked_page(arguments, [&] { return hull_page(answer); }); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(hull_json(answer));
  else
    arguments.console.print(hull_text(answer));
  return 0;
}

}  // namespace

Command region_hull_command() {
  std::vector<Option> options = {
      {.name = "samples",
       .value = "N",
       .default_value = "64",
       .help = "Points drawn uniformly from the hull, 0 to 100000.",
       .letter = 'n'},
      {.name = "seed", .value = "N", .default_value = "0", .help = "Of the points that are drawn."},
      {.name = "triangle",
       .help = "Of three runs, also the 66 points of a grid over their triangle."}};
  for (Option& option : point_options()) options.push_back(std::move(option));
  return {.name = "region hull",
          .summary = "Evaluate the convex hull of trained runs: members, points within, centroid",
          .arguments = "RUN …",
          .min_arguments = 2,
          .max_arguments = 1000,
          .options = std::move(options),
          .description =
              "The held-out losses of the runs, of points sum w_i theta_i with weights drawn "
              "uniformly from the\nsimplex, and of the mean. \"Below\" is the share of pairs in "
              "which the first has the lower loss, ties\nhalf. Intervals resample the held-out "
              "windows. Runs are named by the beginning of "
              "their id, or by their folder, also by a link.\n\n"
              "  ration region hull 1f3a 77c0 9b12 --data data/prose --triangle --page hull.html",
          .execute = run_hull};
}

}  // namespace ration::cli
