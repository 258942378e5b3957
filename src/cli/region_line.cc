#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/commands.h"
#include "cli/merge_options.h"
#include "cli/page_file.h"
#include "cli/region_figures.h"
#include "cli/region_options.h"
#include "cli/region_points.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "region/line.h"

namespace ration::cli {
namespace {

using region::Profile;

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

std::vector<Profile> profiles_of(const std::vector<double>& alphas, const PointLosses& losses) {
  std::vector<Profile> profiles;
  for (const std::vector<double>& of_corpus : losses.losses)
    profiles.push_back(region::profile(alphas, of_corpus));
  return profiles;
}

Json line_json(const std::vector<double>& alphas, const PointLosses& losses) {
  const std::vector<Profile> profiles = profiles_of(alphas, losses);
  Json corpora = Json::array();
  for (std::size_t c = 0; c < losses.corpora.size(); ++c) {
    Json numbers = Json::array();
    for (const double loss : losses.losses[c]) numbers.push_back(finite_or_null(loss));
    corpora.push_back({{"corpus", losses.corpora[c]},
                       {"tokens", losses.tokens[c]},
                       {"losses_nats", std::move(numbers)},
                       {"barrier_nats", finite_or_null(profiles[c].barrier)},
                       {"barrier_at", finite_or_null(profiles[c].barrier_at)},
                       {"lowest_nats", finite_or_null(profiles[c].lowest)},
                       {"lowest_at", profiles[c].lowest_at}});
  }
  return {{"schema", "ration.region.line/1"},
          {"runs", losses.runs},
          {"alphas", alphas},
          {"corpora", std::move(corpora)}};
}

using Cells = std::vector<std::vector<std::string>>;

Cells loss_cells(const std::vector<double>& alphas, const PointLosses& losses) {
  Cells cells = {{"alpha"}};
  for (const std::string& corpus : losses.corpora) cells[0].push_back(corpus);
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    cells.push_back({fmt::format("{:g}", alphas[i])});
    for (const std::vector<double>& of_corpus : losses.losses)
      cells.back().push_back(cell(of_corpus[i], 4));
  }
  return cells;
}

Cells profile_cells(const std::vector<double>& alphas, const PointLosses& losses) {
  Cells cells = {{"corpus", "barrier/nats", "at", "lowest/nats", "at"}};
  const std::vector<Profile> profiles = profiles_of(alphas, losses);
  for (std::size_t c = 0; c < profiles.size(); ++c)
    cells.push_back(
        {losses.corpora[c],
         cell(profiles[c].barrier, 4),
         std::isnan(profiles[c].barrier_at) ? "-" : fmt::format("{:g}", profiles[c].barrier_at),
         cell(profiles[c].lowest, 4),
         fmt::format("{:g}", profiles[c].lowest_at)});
  return cells;
}

report::Page line_page(const std::vector<double>& alphas, const PointLosses& losses) {
  report::Section section;
  section.title = "Losses along the line";
  section.paragraphs = {fmt::format(
      "theta_a + alpha (theta_b - theta_a) from run {} (alpha 0) to run {} (alpha 1), on {}, "
      "the same at every alpha.",
      short_id(losses.runs[0]),
      short_id(losses.runs[1]),
      tokens_text(losses))};
  section.tables = {page_table(profile_cells(alphas, losses)),
                    page_table(loss_cells(alphas, losses))};
  section.figures = line_figures(alphas, losses.corpora, losses.losses);
  return {.title = "A line in weight space", .sections = {std::move(section)}};
}

Result<int> run_line(const Arguments& arguments) {
  Result<std::vector<double>> alphas = alphas_of(arguments);
  if (!alphas) return std::move(alphas).error();
  std::vector<RegionPoint> points;
  for (const double alpha : *alphas)
    points.push_back({.name = fmt::format("{}", alpha), .weights = {1 - alpha, alpha}});
  Result<PointLosses> losses = losses_of_points(arguments, "line", points);
  if (!losses) return std::move(losses).error();
  if (Result<void> done = write_asked_page(arguments, [&] { return line_page(*alphas, *losses); });
      !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(line_json(*alphas, *losses));
  else
    arguments.console.print(table(loss_cells(*alphas, *losses)) + "\n" +
                            table(profile_cells(*alphas, *losses)));
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
          "that it exceeds the\nstraight line between its ends. Runs are named by the beginning "
          "of their id, or by their folder.\n\n"
          "  ration region line 1f3a 77c0 --data data/prose --data data/code --page line.html",
      .execute = run_line};
}

}  // namespace ration::cli
