#include "plan/plan.h"

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/fit_text.h"
#include "cli/plan_next.h"

namespace ration::cli {
namespace {

Error missing(std::string_view option, std::string_view example) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("--{} is missing", option),
          .hint = fmt::format("for example --{} {}", option, example)};
}

Result<plan::Request> plan_request(const Arguments& arguments) {
  auto budget = arguments.quantity("budget", "flop");
  auto unique = arguments.quantity("unique", "tok");
  auto max_epochs = arguments.quantity("max-epochs", "");
  auto tolerance = arguments.quantity("tolerance", "");
  std::vector<Error> problems;
  if (!budget) problems.push_back(budget.error());
  if (!unique) problems.push_back(unique.error());
  if (!max_epochs) problems.push_back(max_epochs.error());
  if (!tolerance) problems.push_back(tolerance.error());
  if (budget && !*budget) problems.push_back(missing("budget", "1e21flop"));
  if (unique && !*unique) problems.push_back(missing("unique", "25Btok"));
  if (!problems.empty()) return combine(std::move(problems), "the plan cannot be made");

  plan::Request request{.budget = Flops(**budget), .unique = Tokens(**unique)};
  if (*max_epochs) request.max_epochs = Epochs(**max_epochs);
  request.tolerance = (*tolerance).value_or(request.tolerance);
  if (std::vector<Error> wrong = plan::check(request); !wrong.empty())
    return combine(std::move(wrong), "the plan cannot be made");
  return request;
}

Result<int> run_plan(const Arguments& arguments) {
  Result<plan::Request> request = plan_request(arguments);
  if (!request) return std::move(request).error();
  const auto file = arguments.text("fit");
  Result<fit::Fit> fit = file ? read_fit(*file) : newest_fit(*arguments.text("store"));
  if (!fit) return std::move(fit).error();
  if (!fit->trusted() && !arguments.flag("force")) return fit::untrusted(*fit);
  if (arguments.flag("next")) return run_plan_next(arguments, *fit, *request);
  Result<plan::Plan> plan = plan::make_plan(*fit, *request);
  if (!plan) return std::move(plan).error();
  if (arguments.console.json)
    arguments.console.print_json(plan::to_json(*plan, *fit));
  else
    arguments.console.print(plan_text(*plan, *fit));
  return 0;
}

}  // namespace

Command plan_command() {
  Command command = {
      .name = "plan",
      .summary = "Recommend parameters, tokens and epochs for a budget and unique tokens",
      .arguments = "",
      .options =
          {{.name = "fit",
            .value = "FILE",
            .help = "A fit of `ration fit -o`; without it the "
                    "newest of the store is taken."},
           {.name = "budget",
            .value = "FLOP",
            .help = "Compute to spend on training, such as 1e21flop; 6 x parameters x tokens."},
           {.name = "unique",
            .value = "TOKENS",
            .help = "Distinct tokens at hand, such as 25Btok."},
           {.name = "max-epochs", .value = "N", .help = "Upper limit of epochs; none by default."},
           {.name = "tolerance",
            .value = "SHARE",
            .default_value = "0.001",
            .help = "How far above the least loss, as a share of it, the valley reaches that is "
                    "reported; 0.001 is about the noise of seeds in large runs."},
           {.name = "store",
            .value = "DIR",
            .default_value = "ration-runs",
            .help = "Folder of the store."},
           {.name = "force", .help = "Plan with a fit that is not to be trusted."}},
      .description = "  ration plan --fit fit.json --budget 1e21flop --unique 25Btok",
      .execute = run_plan};
  for (Option& option : next_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace ration::cli
