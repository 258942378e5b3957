#include "cli/optimum_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "base/text.h"
#include "cli/draw_options.h"
#include "cli/fit_text.h"
#include "cli/page_file.h"

namespace ration::cli {
namespace {

std::string interval_text(const fit::Prediction& p) {
  return p.low && p.high ? fmt::format("{:.4g} to {:.4g}", *p.low, *p.high) : std::string("-");
}

std::string amount_text(const fit::Prediction& p, const char* unit) {
  std::string text = format_quantity(p.value, unit);
  if (p.low && p.high)
    text +=
        fmt::format(" ({} to {})", format_quantity(*p.low, unit), format_quantity(*p.high, unit));
  return text;
}

Error untrusted(const Found& found) {
  std::vector<Error> reasons;
  for (const fit::Doubt& doubt : found.doubts)
    if (doubt.fatal)
      reasons.push_back(
          {.kind = ErrorKind::untrusted, .what = fmt::format("{}: {}", doubt.subject, doubt.what)});
  return {.kind = ErrorKind::untrusted,
          .what = fmt::format("{} is not to be trusted", found.name),
          .hint = "add runs where they are missing, or override with --force",
          .causes = std::move(reasons)};
}

Result<void> write(const Arguments& arguments, const Found& found) {
  if (const auto file = arguments.text("csv")) {
    if (Result<void> done = real_files().write_whole(*file, found.csv); !done) return done;
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  if (const auto file = arguments.text("figure")) {
    if (Result<void> done = write_page(arguments.console, found.page, *file); !done) return done;
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  return {};
}

Result<std::vector<Flops>> asked_budgets(const Arguments& arguments) {
  std::vector<Flops> budgets;
  for (const std::string& text : arguments.all("budget")) {
    Result<double> flops = parse_quantity(text, "flop");
    if (!flops) return std::move(flops).error().with_context("--budget");
    if (!(*flops > 0))
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("--budget: {} is not above 0", text),
                   .hint = "for example --budget 1e21flop"};
    budgets.emplace_back(*flops);
  }
  return budgets;
}

}  // namespace

std::vector<Option> optimum_options() {
  std::vector<Option> options = {
      {.name = "budget",
       .value = "FLOP",
       .help = "Compute for which the best model size and number of tokens are told, such as "
               "1e21flop.",
       .repeatable = true},
      {.name = "csv", .value = "FILE", .help = "Write what the line goes through as a table."},
      {.name = "figure",
       .value = "FILE.html",
       .help = "Write a page with the figures, which opens without network."},
      {.name = "force", .help = "Write a result that is not to be trusted (exit code 4 without)."},
  };
  for (Option& option : input_options()) options.push_back(std::move(option));
  for (Option& option : draw_options()) options.push_back(std::move(option));
  return options;
}

Result<Asked> read_asked(const Arguments& arguments) {
  Result<std::vector<Flops>> budgets = asked_budgets(arguments);
  if (!budgets) return std::move(budgets).error();
  Result<FitInput> input = read_input(arguments, arguments.positional.front());
  if (!input) return std::move(input).error();
  for (const std::string& note : input->notes) arguments.console.note(note);
  return Asked{std::move(*budgets), std::move(*input)};
}

std::string line_text(const fit::OptimumLine& line, std::span<const Flops> budgets) {
  const fit::Prediction p = line.exponent(), k = line.k();
  std::string text = fmt::format(
      "\nN_opt = k C^p, D_opt = C / (6 N_opt), from {} to {}\n"
      "             value  {}\n"
      "  p  {:>13.6g}  {}\n"
      "  k  {:>13.6g}  {}\n",
      format_quantity(line.flops.low, "flop"),
      format_quantity(line.flops.high, "flop"),
      line.draws.empty() ? "" : percent(line.interval) + " interval",
      p.value,
      interval_text(p),
      k.value,
      interval_text(k));
  for (const Flops budget : budgets) {
    const fit::BudgetOptimum best = line.at(budget);
    text += fmt::format(
        "\nat {}\n  parameters          {}\n  tokens              {}\n"
        "  tokens a parameter  {}\n",
        format_quantity(budget.value, "flop"),
        amount_text(best.params, ""),
        amount_text(best.tokens, "tok"),
        amount_text(best.tokens_per_params, ""));
  }
  return text;
}

Result<int> show_and_write(const Arguments& arguments, const Found& found) {
  const Console& console = arguments.console;
  if (console.json)
    console.print_json(found.document);
  else
    console.print(found.text + doubts_text(found.doubts));
  const bool trusted = std::none_of(
      found.doubts.begin(), found.doubts.end(), [](const fit::Doubt& d) { return d.fatal; });
  if (trusted || arguments.flag("force")) {
    if (Result<void> written = write(arguments, found); !written) return std::move(written).error();
    return 0;
  }
  Error error = untrusted(found);
  if (!console.json) return error;
  console.note(error.describe());  // stdout holds the document already
  return exit_code(error.kind);
}

}  // namespace ration::cli
