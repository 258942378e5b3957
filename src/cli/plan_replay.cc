#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/option_reader.h"
#include "plan/replay.h"

namespace ration::cli {
namespace {

// "10%" or "0.1".
Result<double> share(const Arguments& arguments, const std::string& name) {
  std::string text = arguments.text(name).value_or("");
  const bool percent = text.ends_with('%');
  if (percent) text.pop_back();
  Result<double> value = parse_quantity(text, "");
  if (!value) return std::move(value).error().with_context("--" + name);
  return percent ? *value / 100 : *value;
}

std::string scores_text(const std::vector<plan::Score>& scores) {
  std::string text = fmt::format("  {:<15} {:>8} {:>8} {:>20} {:>12} {:>6} {:>8}\n",
                                 "strategy",
                                 "R^2",
                                 "median",
                                 "least to most",
                                 "mean error",
                                 "runs",
                                 "spent");
  for (const plan::Score& score : scores)
    text += fmt::format("  {:<15} {:>8.3f} {:>8.3f} {:>20} {:>10.2f} % {:>6} {:>6.2f} %\n",
                        plan::name(score.strategy),
                        score.everything,
                        score.r_squared,
                        fmt::format("{:.3f} to {:.3f}", score.low, score.high),
                        100 * score.mean_error,
                        score.runs,
                        100 * score.spent);
  return text;
}

Result<int> run_replay(const Arguments& arguments) {
  plan::ReplayOptions options;
  if (arguments.flag("law")) options.laws = arguments.all("law");
  OptionReader read{arguments};
  options.budget = read.keep(share(arguments, "budget")).value_or(options.budget);
  options.target = read.keep(share(arguments, "target")).value_or(options.target);
  options.offered = read.keep(share(arguments, "offered")).value_or(options.offered);
  options.gamma = read.quantity("gamma", "");
  options.misfit.size = read.quantity("misfit", "").value_or(options.misfit.size);
  options.misfit.reach = read.quantity("reach", "").value_or(options.misfit.reach);
  options.repeats = static_cast<int>(read.whole("repeats", 1, 1000).value_or(options.repeats));
  options.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  if (!read.problems.empty()) return combine(std::move(read.problems), "the replay cannot be made");

  Result<FitInput> input = read_input(arguments, arguments.positional.front());
  if (!input) return std::move(input).error();
  for (const std::string& note : input->notes) arguments.console.note(note);
  Result<std::vector<plan::Score>> scores = plan::replay(input->runs, options);
  if (!scores) return std::move(scores).error();
  if (!arguments.console.json) {
    arguments.console.print(scores_text(*scores));
    return 0;
  }
  Json document = {{"schema", "ration.replay/1"}, {"strategies", Json::array()}};
  for (const plan::Score& score : *scores)
    document["strategies"].push_back({{"strategy", plan::name(score.strategy)},
                                      {"everything", score.everything},
                                      {"r_squared", score.r_squared},
                                      {"low", score.low},
                                      {"high", score.high},
                                      {"mean_error", score.mean_error},
                                      {"runs", score.runs},
                                      {"spent", score.spent}});
  arguments.console.print_json(document);
  return 0;
}

}  // namespace

Command plan_replay_command() {
  std::vector<Option> options = {
      {.name = "budget",
       .value = "SHARE",
       .default_value = "10%",
       .help = "Share of the cost of all runs that may be bought, such as 10% or 0.1."},
      {.name = "target",
       .value = "SHARE",
       .default_value = "10%",
       .help = "Share of the runs, the most expensive, that are held out and scored."},
      {.name = "law",
       .value = "LAW",
       .help = "Law to believe, by default data-constrained; of several, the predictions are "
               "averaged.",
       .repeatable = true},
      {.name = "gamma",
       .value = "X",
       .help = "Gains are divided by cost^X, 0 to 2; by default the best of 1, 0.75, 0.5, 0.25 and "
               "0."},
      {.name = "misfit",
       .value = "LN",
       .default_value = "0.2",
       .help = "Standard deviation of ln L by which the law is taken to be wrong at any one place, "
               "by all strategies, 0 (it is true) to 1."},
      {.name = "reach",
       .value = "X",
       .default_value = "6",
       .help = "Distance in ln C, ln epochs and ln N/U together over which that error falls to 1/e "
               "of itself, above 0."},
      {.name = "repeats",
       .value = "N",
       .default_value = "20",
       .help =
           "Times that every strategy is tried: the first is offered all runs (R^2 of its own), "
           "each other a part of them."},
      {.name = "offered",
       .value = "SHARE",
       .default_value = "80%",
       .help = "That part, drawn by chance: a choice that is good by one lucky run only shows."},
      {.name = "seed", .value = "N", .default_value = "0", .help = "Seed of chance."},
  };
  for (Option& option : input_options()) options.push_back(std::move(option));
  return {.name = "plan replay",
          .summary = "Try the choice of next runs on runs that are finished",
          .arguments = "FILE.csv",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = std::move(options),
          .description =
              "Spends a share of what the runs cost, as if none were known, and scores "
              "the law fitted to them\non the most expensive runs.\n\n"
              "  ration plan replay runs.csv --budget 1%",
          .execute = run_replay};
}

}  // namespace ration::cli
