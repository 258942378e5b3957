#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/commands.h"
#include "cli/merge_options.h"
#include "cli/page_file.h"
#include "cli/region_line_text.h"
#include "region/line.h"

namespace ration::cli {
namespace {

// --alphas with 0 and 1, ascending, each once.
Result<std::vector<double>> alphas_of(const Arguments& arguments) {
  const std::optional<std::string> text = arguments.text("alphas");
  if (!text) return region::line_alphas();
  Result<Json> numbers = numbers_of(*text, "alphas");
  if (!numbers) return std::move(numbers).error();
  std::vector<double> alphas = {0, 1};
  for (const Json& number : *numbers) alphas.push_back(number.get<double>());
  for (const double alpha : alphas)
    if (!(std::abs(alpha) <= 1e6))
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("--alphas: {} is out of range", alpha),
                   .hint = "allowed: -1e6 to 1e6"};
  std::sort(alphas.begin(), alphas.end());
  alphas.erase(std::unique(alphas.begin(), alphas.end()), alphas.end());
  return alphas;
}

Result<int> run_line(const Arguments& arguments) {
  Result<std::vector<double>> alphas = alphas_of(arguments);
  if (!alphas) return std::move(alphas).error();
  std::vector<RegionPoint> points;
  for (const double alpha : *alphas)
    points.push_back({.name = fmt::format("{}", alpha), .weights = {1 - alpha, alpha}});
  Result<PointLosses> losses = losses_of_points(arguments, "line", points);
  if (!losses) return std::move(losses).error();
  const LineAnswer answer = line_answer(std::move(*alphas), std::move(*losses));
  if (Result<void> done = write_asked_page(arguments, [&] { return line_page(answer); }); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(line_json(answer));
  else
    arguments.console.print(line_text(answer));
  return 0;
}

}  // namespace

Command region_line_command() {
  std::vector<Option> options = {{.name = "alphas",
                                  .value = "A1,A2,…",
                                  .help =
                                      "Where to look; 0 and 1 are always among them, a barrier "
                                      "needs one between. 0, 0.1, … 1 and doubling steps to -16 "
                                      "and 17 unless given."}};
  for (Option& option : point_options()) options.push_back(std::move(option));
  return {
      .name = "region line",
      .summary = "Evaluate the line through two trained runs: barriers, and what lies beyond",
      .arguments = "RUN RUN",
      .min_arguments = 2,
      .max_arguments = 2,
      .options = std::move(options),
      .description =
          "The held-out loss of theta_a + alpha (theta_b - theta_a). The barrier is the most "
          "that it exceeds the\nstraight line between its ends. Intervals resample the held-out "
          "windows. Runs are named by the beginning "
          "of their id, or by their folder, also by a link.\n\n"
          "  ration region line 1f3a 77c0 --data data/prose --data data/code --page line.html",
      .execute = run_line};
}

}  // namespace ration::cli
