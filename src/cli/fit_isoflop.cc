#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/draw_options.h"
#include "cli/optimum_text.h"
#include "fit/optimum_file.h"
#include "report/optimum_figures.h"

namespace ration::cli {
namespace {

void read_noise(OptionReader& read, fit::IsoflopOptions& options) {
  const std::string word = read.arguments.text("noise").value_or("auto");
  if (word == "auto") return;
  if (word == "growing") {
    options.noise = fit::Noise::growing;
    return;
  }
  options.noise = fit::Noise::given;
  if (Result<double> value = parse_quantity(word, ""))
    options.noise_sd = *value;
  else
    read.refuse(fmt::format("--noise: \"{}\" is no number", word),
                "auto, growing, or a standard deviation of ln L such as 0.003");
}

Result<fit::IsoflopOptions> isoflop_options(const Arguments& arguments) {
  OptionReader read{arguments};
  fit::IsoflopOptions options;
  options.curve = read.choice<fit::ProfileCurve>("curve",
                                                 {{"parabola", fit::ProfileCurve::parabola},
                                                  {"akima", fit::ProfileCurve::akima}})
                      .value_or(options.curve);
  options.error =
      read.choice<fit::VertexError>(
              "error", {{"redraw", fit::VertexError::redraw}, {"delta", fit::VertexError::delta}})
          .value_or(options.error);
  options.tolerance = read.quantity("tolerance", "").value_or(options.tolerance);
  read_noise(read, options);
  options.draws = read_draws(read, fit::kFewestIsoflopDraws);
  if (read.problems.empty()) read.problems = fit::check(options);
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the profiles are wrong");
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
  std::size_t profiles = 0, alone = 0;
  std::string levels;
  for (const fit::IsoflopLevel& level : found.levels) {
    if (level.sizes < kProfile) {
      alone += level.runs.size();
      continue;
    }
    ++profiles;
    levels += level_text(level);
  }
  std::string text = fmt::format(
      "isoFLOP profiles, {}\n"
      "  {} from {}\n"
      "  {} whose runs agree in compute within {:g} %; {} with a vertex\n",
      found.curve == fit::ProfileCurve::parabola ? "parabolas of the loss in ln N"
                                                 : "Akima interpolants of ln L in ln N",
      counted(static_cast<std::size_t>(found.runs), "run"),
      found.source,
      counted(profiles, "level"),
      100 * found.tolerance,
      found.used());
  if (alone > 0)
    text += fmt::format("  {} {} compute with fewer than three sizes\n",
                        counted(alone, "run"),
                        alone == 1 ? "shares its" : "share their");
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
  Result<Asked> asked = read_asked(arguments);
  if (!asked) return std::move(asked).error();
  Result<fit::Isoflop> found = fit::fit_isoflop(asked->input.runs, *options);
  if (!found) return std::move(found).error();
  complete(*found, *asked);
  if (found->earlier > 0)
    arguments.console.note(
        fmt::format("{} before the last of a run left out",
                    counted(static_cast<std::size_t>(found->earlier), "checkpoint")));
  return show_and_write(arguments,
                        {.name = "the isoFLOP line",
                         .text = isoflop_text(*found, asked->budgets),
                         .document = fit::to_json(*found, asked->budgets),
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
