#include "report/report.h"

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/page_file.h"

namespace ration::cli {
namespace {

Result<std::optional<plan::Plan>> requested_plan(const Arguments& arguments, const fit::Fit& fit) {
  auto budget = arguments.quantity("budget", "flop");
  if (!budget) return std::move(budget).error();
  auto unique = arguments.quantity("unique", "tok");
  if (!unique) return std::move(unique).error();
  if (budget->has_value() != unique->has_value())
    return Error{.kind = ErrorKind::usage,
                 .what = "a plan needs both --budget and --unique",
                 .hint =
                     "for example --budget 1e21flop --unique 25Btok; without both the report holds "
                     "the fit alone"};
  if (!*budget) return std::optional<plan::Plan>();
  Result<plan::Plan> plan =
      plan::make_plan(fit, {.budget = Flops(**budget), .unique = Tokens(**unique)});
  if (!plan) return std::move(plan).error();
  return std::optional(std::move(*plan));
}

Result<int> run_report(const Arguments& arguments) {
  const std::optional<std::string> file = arguments.text("fit");
  Result<fit::Fit> fit = file ? read_fit(*file) : newest_fit(*arguments.text("store"));
  if (!fit) return std::move(fit).error();
  Result<FitInput> input =
      read_input(arguments, arguments.positional.empty() ? "" : arguments.positional.front());
  if (!input) return std::move(input).error();
  Result<std::optional<plan::Plan>> plan = requested_plan(arguments, *fit);
  if (!plan) return std::move(plan).error();

  const report::Page page = report::make_page(*fit, input->runs, *plan ? &**plan : nullptr);
  const Path folder = *arguments.text("out");
  const std::string script = drawing_script(arguments.console);
  if (Result<void> done = report::write_report(
          real_files(), folder, page, report::losses_csv(*fit, input->runs), script);
      !done)
    return std::move(done).error();
  const Path html = folder / "report.html";
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.report/1"},
                                  {"html", html.string()},
                                  {"csv", (folder / "losses.csv").string()},
                                  {"runs", input->runs.size()}});
  else
    arguments.console.print(html.string() + "\n");
  return 0;
}

}  // namespace

Command report_command() {
  Command command{
      .name = "report",
      .summary = "Write a fit, its runs and a plan as one offline HTML page with figures",
      .arguments = "[SWEEP | FILE.csv]",
      .max_arguments = 1,
      .options =
          {{.name = "out",
            .value = "DIR",
            .default_value = "report",
            .help = "Folder for report.html, losses.csv and the figures' specifications.",
            .letter = 'o'},
           {.name = "fit",
            .value = "FILE",
            .help =
                "Fit to show, as `ration fit -o` writes it; the newest of the store unless given."},
           {.name = "budget",
            .value = "FLOP",
            .help = "Compute to plan for; with --unique the page begins with the recommendation."},
           {.name = "unique", .value = "TOKENS", .help = "Unique tokens to plan for."}},
      .description =
          "Example:\n  ration report --fit fit.json --budget 1e21flop --unique 25Btok -o report",
      .execute = run_report};
  for (Option& option : input_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace ration::cli
