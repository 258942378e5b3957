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

Result<fit::EnvelopeOptions> envelope_options(const Arguments& arguments) {
  OptionReader read{arguments};
  fit::EnvelopeOptions options;
  options.grid = static_cast<int>(read.whole("grid", 100, 100000).value_or(options.grid));
  options.smooth = read.quantity("smooth", "").value_or(options.smooth);
  options.draws = read_draws(read, 0);
  if (read.problems.empty()) read.problems = fit::check(options);
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the envelope are wrong");
  return options;
}

std::string envelope_text(const fit::Envelope& found, std::span<const Flops> budgets) {
  const auto edges = std::count_if(
      found.points.begin(), found.points.end(), [](const fit::EnvelopePoint& p) { return p.edge; });
  std::string text = fmt::format(
      "envelope of training curves\n"
      "  {} of {} from {}\n"
      "  {}, {} of them discarded at the edge of the sizes\n",
      counted(static_cast<std::size_t>(found.curves), "curve"),
      counted(static_cast<std::size_t>(found.sizes), "size"),
      found.source,
      counted(found.points.size(), "winner"),
      edges);
  if (!found.steps.empty())
    text += fmt::format("\n  {:>9}  {:>7}  {}\n", "size", "winners", "wins at");
  for (const fit::EnvelopeStep& step : found.steps)
    text += fmt::format("  {:>9}  {:>7}  {} to {}\n",
                        format_quantity(step.params.value),
                        step.winners,
                        format_quantity(step.flops.low, "flop"),
                        format_quantity(step.flops.high, "flop"));
  if (!found.line) return text;
  return text + line_text(*found.line, budgets) +
         fmt::format("\n  p {:.6g} over single winners, whose sizes rise in steps\n",
                     found.plain_exponent);
}

Result<int> run_envelope(const Arguments& arguments) {
  Result<fit::EnvelopeOptions> options = envelope_options(arguments);
  if (!options) return std::move(options).error();
  Result<Asked> asked = read_asked(arguments);
  if (!asked) return std::move(asked).error();
  Result<fit::Envelope> found = fit::fit_envelope(asked->input.runs, *options);
  if (!found) return std::move(found).error();
  complete(*found, *asked);
  if (found->short_curves + found->single_rows > 0)
    arguments.console.note(
        fmt::format("left out: {} of fewer than 4 checkpoints, {} of no run",
                    counted(static_cast<std::size_t>(found->short_curves), "run"),
                    counted(static_cast<std::size_t>(found->single_rows), "row")));
  arguments.console.note(
      "an envelope is valid only where the learning rate of each curve has come down at the "
      "compute where it wins");
  return show_and_write(arguments,
                        {.name = "the line of the envelope",
                         .text = envelope_text(*found, asked->budgets),
                         .document = fit::to_json(*found, asked->budgets),
                         .csv = fit::to_csv(*found),
                         .page = report::envelope_page(*found),
                         .doubts = found->doubts});
}

}  // namespace

Command fit_envelope_command() {
  std::vector<Option> options = {
      {.name = "grid",
       .value = "N",
       .default_value = "1500",
       .help = "Values of compute at which the best curve is taken, 100 to 100000. 1500 is the "
               "published choice."},
      {.name = "smooth",
       .value = "LN",
       .default_value = "0.1",
       .help = "Width over which each curve is smoothed, in ln C, 0 (not at all) to 1. The default "
               "averages checkpoints within a tenth of their compute."},
      {.name = "bootstrap",
       .value = "N",
       .default_value = "400",
       .help = "Draws of the curves behind the intervals, 0 (none) to 100000."},
  };
  for (Option& option : optimum_options()) options.push_back(std::move(option));
  return {.name = "fit envelope",
          .summary = "Find the best model size along the lower edge of training curves",
          .arguments = "FILE.csv",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = std::move(options),
          .description =
              "Rows are checkpoints; a column run or run_id names the curve of each. Valid only "
              "where the schedule\nof the learning rate ends at the compute where a curve wins.\n\n"
              "  ration fit envelope curves.csv --budget 1e21flop",
          .execute = run_envelope};
}

}  // namespace ration::cli
