#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/choice.h"
#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/fit_text.h"
#include "cli/optimum_text.h"
#include "fit/optimum_file.h"
#include "report/optimum_figures.h"

namespace ration::cli {
namespace {

Result<void> read_noise(const Arguments& arguments, fit::IsoflopOptions& options) {
  const std::string word = arguments.text("noise").value_or("auto");
  if (word == "auto") return {};
  if (word == "growing") {
    options.noise = fit::Noise::growing;
    return {};
  }
  Result<double> value = parse_quantity(word, "");
  if (!value)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("--noise: \"{}\" is no number", word),
                 .hint = "auto, growing, or a standard deviation of ln L such as 0.003"};
  options.noise = fit::Noise::given;
  options.noise_sd = *value;
  return {};
}

Result<fit::IsoflopOptions> isoflop_options(const Arguments& arguments) {
  fit::IsoflopOptions options;
  auto curve = choice<fit::ProfileCurve>(
      arguments,
      "curve",
      {{"parabola", fit::ProfileCurve::parabola}, {"akima", fit::ProfileCurve::akima}});
  auto error = choice<fit::VertexError>(
      arguments,
      "error",
      {{"redraw", fit::VertexError::redraw}, {"delta", fit::VertexError::delta}});
  auto tolerance = arguments.quantity("tolerance", "");
  Result<void> noise = read_noise(arguments, options);
  Result<DrawOptions> draws = draw_options(arguments);
  std::vector<Error> problems;
  if (!curve) problems.push_back(curve.error());
  if (!error) problems.push_back(error.error());
  if (!tolerance) problems.push_back(tolerance.error());
  if (!noise) problems.push_back(noise.error());
  if (!draws) problems.push_back(draws.error());
  if (!problems.empty())
    return combine(std::move(problems), "the options of the profiles are wrong");
  options.curve = *curve;
  options.error = *error;
  options.tolerance = (*tolerance).value_or(options.tolerance);
  options.resamples = draws->resamples;
  options.interval = draws->interval;
  options.seed = draws->seed;
  options.threads = draws->threads;
  return options;
}

std::string level_text(const fit::IsoflopLevel& level) {
  const std::string head = fmt::format("  {:>10} {:>5} {:>6}",
                                       format_quantity(level.flops.value, "flop"),
                                       level.runs.size(),
                                       level.sizes);
  if (!level.rejected.empty()) return fmt::format("{}  rejected: {}\n", head, level.rejected);
  return fmt::format("{} {:>9} {:>7.1f} % {:>11} {:>8.4f} {:>9.2f}\n",
                     head,
                     format_quantity(level.vertex.value),
                     100 * level.error,
                     format_quantity(tokens_for(level.flops, level.vertex).value, "tok"),
                     level.least.value,
                     level.lopsided);
}

std::string isoflop_text(const fit::Isoflop& found, std::span<const Flops> budgets) {
  constexpr int kProfile = 3;  // sizes; fewer make none
  int profiles = 0, alone = 0;
  std::string levels;
  for (const fit::IsoflopLevel& level : found.levels) {
    if (level.sizes < kProfile) {
      alone += static_cast<int>(level.runs.size());
      continue;
    }
    ++profiles;
    levels += level_text(level);
  }
  std::string text = fmt::format(
      "isoFLOP profiles, {}\n"
      "  {} runs from {}\n"
      "  {} levels whose runs agree in compute within {:g} %; {} with a vertex\n",
      found.curve == fit::ProfileCurve::parabola ? "parabolas of the loss in ln N"
                                                 : "Akima interpolants of ln L in ln N",
      found.runs,
      found.source,
      profiles,
      100 * found.tolerance,
      found.used());
  if (alone > 0)
    text += fmt::format("  {} runs share their compute with fewer than three sizes\n", alone);
  text += fmt::format("  noise of ln L {}\n",
                      found.noise_source == "unknown"
                          ? std::string("unknown")
                          : fmt::format("{:.3g}, {}", found.noise, found.noise_source));
  if (profiles > 0)
    text += fmt::format("\n  {:>10} {:>5} {:>6} {:>9} {:>9} {:>11} {:>8} {:>9}\n",
                        "compute",
                        "runs",
                        "sizes",
                        "N_opt",
                        "error",
                        "D_opt",
                        "loss",
                        "lopsided") +
            levels;
  if (found.line) text += line_text(*found.line, budgets);
  return text;
}

Result<int> run_isoflop(const Arguments& arguments) {
  Result<fit::IsoflopOptions> options = isoflop_options(arguments);
  if (!options) return std::move(options).error();
  if (std::vector<Error> problems = fit::check(*options); !problems.empty())
    return combine(std::move(problems), "the options of the profiles are wrong");
  Result<std::vector<Flops>> budgets = asked_budgets(arguments);
  if (!budgets) return std::move(budgets).error();
  Result<FitInput> input = read_input(arguments, arguments.positional.front());
  if (!input) return std::move(input).error();
  for (const std::string& note : input->notes) arguments.console.note(note);
  Result<fit::Isoflop> found = fit::fit_isoflop(input->runs, *options);
  if (!found) return std::move(found).error();
  found->source = input->source;
  found->params_convention = input->params_convention;
  if (found->line)
    for (const Flops budget : *budgets)
      if (auto doubt = fit::extrapolation(*found->line, budget))
        found->doubts.push_back(std::move(*doubt));
  if (found->earlier > 0)
    arguments.console.note(
        fmt::format("{} checkpoints before the last of their run left out", found->earlier));
  return show_and_write(arguments,
                        {.name = "the isoFLOP line",
                         .text = isoflop_text(*found, *budgets),
                         .document = fit::to_json(*found, *budgets),
                         .csv = fit::to_csv(*found),
                         .page = report::isoflop_page(*found),
                         .doubts = found->doubts});
}

}  // namespace

Command fit_isoflop_command() {
  std::vector<Option> options = {
      {.name = "curve",
       .value = "NAME",
       .default_value = "parabola",
       .help = "Through the losses of a level: parabola, which averages noise away, or akima, an "
               "interpolant of ln L that follows any shape."},
      {.name = "tolerance",
       .value = "SHARE",
       .default_value = "0.2",
       .help = "Share by which the compute 6 N D of runs of one level may differ, 0 to 1. The "
               "default takes in levels that were rounded or read off a figure."},
      {.name = "noise",
       .value = "LN",
       .default_value = "auto",
       .help = "Standard deviation of ln L between seeds, above 0 and at most 1; auto (replicas "
               "where there are enough, else what the parabolas leave over); or growing (0.005 "
               "nats up to a loss of 3, 0.1 from 6 on)."},
      {.name = "error",
       .value = "NAME",
       .default_value = "redraw",
       .help = "Error of a vertex: redraw (losses drawn again with their noise), or delta (the "
               "first-order formula, parabolas only). Never below a third of the step between "
               "sizes."},
      {.name = "bootstrap",
       .value = "N",
       .default_value = "1000",
       .help = "Draws of the losses behind errors and intervals, 100 to 100000."},
  };
  for (Option& option : optimum_options()) options.push_back(std::move(option));
  return {.name = "fit isoflop",
          .summary = "Find the best model size at each level of compute, and a line through them",
          .arguments = "SWEEP | FILE.csv",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = std::move(options),
          .description =
              "Levels of compute are found in the table. No law is assumed, so it checks "
              "one.\n\n"
              "  ration fit isoflop runs.csv --budget 1e21flop --figure profiles.html",
          .execute = run_isoflop};
}

}  // namespace ration::cli
