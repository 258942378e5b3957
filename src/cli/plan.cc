#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/plan_next.h"
#include "cli/plan_remedies.h"
#include "cli/plan_text.h"
#include "cli/store_option.h"
#include "report/report.h"

namespace ration::cli {
namespace {

Error missing(std::string_view option, std::string_view example) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("--{} is missing", option),
          .hint = fmt::format("for example --{} {}", option, example)};
}

// NAME=TOKENS or NAME=TOKENS:SHARE.
Result<plan::Pool> parse_pool(const std::string& text) {
  const std::size_t equals = text.find('='), colon = text.rfind(':');
  if (equals == std::string::npos || equals == 0)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("--pool: \"{}\" names no pool", text),
                 .hint = "NAME=TOKENS or NAME=TOKENS:SHARE, such as code=10Btok:0.2"};
  const bool has_share = colon != std::string::npos && colon > equals;
  plan::Pool pool{.name = text.substr(0, equals)};
  Result<double> unique = parse_quantity(
      text.substr(equals + 1, has_share ? colon - equals - 1 : std::string::npos), "tok");
  if (!unique) return std::move(unique).error().with_context("--pool");
  pool.unique = Tokens(*unique);
  if (!has_share) return pool;
  Result<double> share = parse_quantity(text.substr(colon + 1), "");
  if (!share) return std::move(share).error().with_context("--pool");
  pool.share = *share;
  return pool;
}

Result<plan::Speed> parse_speed(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("--speed: \"{}\" has no \"=\"", text),
                 .hint = "PARAMETERS=TOKENS a second, such as 124M=250ktok"};
  Result<double> params = parse_quantity(text.substr(0, equals), "params");
  if (!params) return std::move(params).error().with_context("--speed");
  Result<double> speed = parse_quantity(text.substr(equals + 1), "tok");
  if (!speed) return std::move(speed).error().with_context("--speed");
  return plan::Speed{Params(*params), *speed};
}

// LOW:HIGH or LOW:HIGH:COUNT.
struct BudgetRange {
  Flops low, high;
  int count = 9;
};

Result<BudgetRange> parse_range(const std::string& text) {
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  const Error wrong{.kind = ErrorKind::usage,
                    .what = fmt::format("--frontier: \"{}\" is no range of budgets", text),
                    .hint = "LOW:HIGH or LOW:HIGH:COUNT, such as 1e19flop:1e23flop:9"};
  if (first == std::string::npos) return wrong;
  Result<double> low = parse_quantity(text.substr(0, first), "flop");
  Result<double> high = parse_quantity(
      text.substr(first + 1, second == std::string::npos ? second : second - first - 1), "flop");
  Result<double> count = second == std::string::npos ? Result<double>(9.0)
                                                     : parse_quantity(text.substr(second + 1), "");
  if (!low || !high || !count) return wrong;
  const bool whole = *count == std::floor(*count) && *count >= 2 && *count <= 1000;
  if (!(*low > 0 && *high > *low) || !whole) return wrong;
  return BudgetRange{Flops(*low), Flops(*high), static_cast<int>(*count)};
}

Result<plan::Request> plan_request(const Arguments& arguments) {
  OptionReader read{arguments};
  plan::Request request;
  const auto budget = read.quantity("budget", "flop");
  const auto unique = read.quantity("unique", "tok");
  const auto max_epochs = read.quantity("max-epochs", "");
  const auto params = read.quantity("params", "params");
  const auto tokens = read.quantity("tokens", "tok");
  const auto max_params = read.quantity("max-params", "params");
  const auto memory = read.quantity("memory", "B");
  const auto bytes = read.quantity("bytes-per-param", "");
  request.time = read.quantity("time", "s");
  request.tolerance = read.quantity("tolerance", "").value_or(request.tolerance);
  request.served = Tokens(read.quantity("served", "tok").value_or(0));
  request.pools = read.items("pool", parse_pool);
  request.speeds = read.items("speed", parse_speed);

  for (const plan::Pool& pool : request.pools) request.unique += pool.unique;
  if (unique && request.pools.empty()) request.unique = Tokens(*unique);
  if (budget) request.budget = Flops(*budget);
  if (max_epochs) request.max_epochs = Epochs(*max_epochs);
  if (params) request.params = Params(*params);
  if (tokens) request.tokens = Tokens(*tokens);
  if (max_params) request.max_params = Params(*max_params);
  if (memory && bytes && *bytes > 0) {
    const double most = *memory / *bytes;
    request.max_params = Params(max_params ? std::min(*max_params, most) : most);
  }

  const int limits = arguments.flag("budget") + arguments.flag("loss") + arguments.flag("frontier");
  const bool asked_by_targets = arguments.flag("next") && arguments.flag("target");
  if (limits == 0 && !arguments.flag("time") && !asked_by_targets)
    read.problems.push_back(missing("budget", "1e21flop"));
  if (limits > 1)
    read.refuse("--budget, --loss and --frontier each say what to spend", "give one of them");
  if (arguments.flag("pool") && arguments.flag("unique"))
    read.refuse("--unique and --pool both say what is at hand", "give one of them");
  if (!arguments.flag("pool") && !arguments.flag("unique") && !asked_by_targets)
    read.problems.push_back(missing("unique", "25Btok"));
  for (const char* of_next : {"candidates", "spend", "target", "output"})
    if (arguments.flag(of_next) && !arguments.flag("next"))
      read.refuse(fmt::format("--{} makes sense with --next alone", of_next),
                  "for example --next 8 --candidates big.toml --spend 1e20flop");
  for (const char* of_plan : {"loss", "frontier", "csv", "figure", "details"})
    if (arguments.flag(of_plan) && arguments.flag("next"))
      read.refuse(fmt::format("--{} is of no use with --next", of_plan), "leave one of them out");
  for (Error& problem : remedies_conflicts(arguments)) read.problems.push_back(std::move(problem));
  if (bytes && !(*bytes > 0)) read.refuse("a parameter takes no bytes", "--bytes-per-param 16");
  if (!read.problems.empty()) return combine(std::move(read.problems), "the plan cannot be made");
  return request;
}

// Everything that `ration plan` shows.
struct Shown {
  std::optional<plan::Plan> plan;      // none where a frontier is asked for
  std::optional<plan::Needed> needed;  // where a loss is asked for
  std::vector<plan::FrontierPoint> frontier;
  std::optional<plan::Exchange> exchange;
  std::optional<plan::Repetition> repetition;
};

Result<Shown> make_plans(const Arguments& arguments, const fit::Fit& fit, plan::Request request) {
  Shown shown;
  if (const auto range = arguments.text("frontier")) {
    Result<BudgetRange> budgets = parse_range(*range);
    if (!budgets) return std::move(budgets).error();
    Result<std::vector<plan::FrontierPoint>> points = plan::frontier(
        fit, request, plan::budgets_between(budgets->low, budgets->high, budgets->count));
    if (!points) return std::move(points).error();
    shown.frontier = std::move(*points);
    return shown;
  }
  auto loss = arguments.quantity("loss", "");
  if (!loss) return std::move(loss).error();
  if (*loss) {
    Result<plan::Needed> needed = plan::budget_for(fit, request, Loss(**loss));
    if (!needed) return std::move(needed).error();
    request.budget = Flops(needed->budget.value);
    shown.needed = std::move(*needed);
  }
  Result<plan::Plan> plan = plan::make_plan(fit, request);
  if (!plan) return std::move(plan).error();
  shown.plan = std::move(*plan);
  if (!request.tokens) shown.exchange = plan::data_against_compute(fit, request);
  shown.repetition = plan::what_epochs_buy(
      fit, request, Params(shown.plan->best.params.value), Epochs(shown.plan->best.epochs.value));
  return shown;
}

std::string shown_text(const Shown& shown, const fit::Fit& fit, bool details) {
  if (!shown.plan) return frontier_text(shown.frontier, fit);
  std::string text = plan_text(*shown.plan, fit);
  if (shown.needed) text += needed_text(*shown.needed);
  text += outlook_text(shown.exchange, *shown.repetition);
  if (details) text += repetition_text(*shown.repetition);
  return text + warnings_text(*shown.plan);
}

Json shown_json(const Shown& shown, const fit::Fit& fit) {
  if (!shown.plan)
    return {{"schema", "ration.frontier/1"},
            {"law", fit.law->name()},
            {"interval", fit.interval},
            {"params_convention", fit.params_convention},
            {"frontier", plan::to_json(shown.frontier)}};
  Json document = plan::to_json(*shown.plan, fit);
  document["needed"] = shown.needed ? plan::to_json(*shown.needed) : Json(nullptr);
  document["exchange"] = shown.exchange ? plan::to_json(*shown.exchange) : Json(nullptr);
  document["repetition"] = plan::to_json(*shown.repetition);
  return document;
}

Result<void> write_files(const Arguments& arguments, const Shown& shown, const fit::Fit& fit) {
  if (const auto file = arguments.text("csv")) {
    const std::string text =
        shown.plan
            ? plan::trace_csv(plan::trace(fit, shown.plan->request, shown.plan->best.params.value))
            : plan::frontier_csv(shown.frontier);
    if (Result<void> done = real_files().write_whole(*file, text); !done) return done;
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  if (const auto file = arguments.text("figure")) {
    const report::Page page = shown.plan ? report::plan_page(fit, *shown.plan, *shown.repetition)
                                         : report::frontier_page(fit, shown.frontier);
    if (Result<void> done = write_page(arguments.console, page, *file); !done) return done;
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  return {};
}

Result<int> run_plan(const Arguments& arguments) {
  Result<plan::Request> request = plan_request(arguments);
  if (!request) return std::move(request).error();
  const auto file = arguments.text("fit");
  Result<fit::Fit> fit = file ? read_fit(*file) : newest_fit(*arguments.text("store"));
  if (!fit) return std::move(fit).error();
  if (!fit->trusted() && !arguments.flag("force")) return fit::untrusted(*fit);
  if (arguments.flag("next")) return run_plan_next(arguments, *fit, *request);
  if (arguments.flag("remedies")) return run_plan_remedies(arguments, *fit, *request);
  Result<Shown> shown = make_plans(arguments, *fit, std::move(*request));
  if (!shown) return std::move(shown).error();
  if (Result<void> done = write_files(arguments, *shown, *fit); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(shown_json(*shown, *fit));
  else
    arguments.console.print(shown_text(*shown, *fit, arguments.flag("details")));
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
           {.name = "pool",
            .value = "NAME=TOKENS[:SHARE]",
            .help = "In place of --unique: a part of the unique tokens and its share of the "
                    "training tokens, such as code=10Btok:0.2; pools without a share divide the "
                    "rest by size.",
            .repeatable = true},
           {.name = "loss",
            .value = "NATS",
            .help = "In place of --budget: the least compute that reaches this loss."},
           {.name = "frontier",
            .value = "LOW:HIGH[:COUNT]",
            .help = "In place of --budget: one plan for each of COUNT budgets (9), such as "
                    "1e19flop:1e23flop:9."},
           {.name = "max-epochs", .value = "N", .help = "Upper limit of epochs; none by default."},
           {.name = "params",
            .value = "N",
            .help = "The model size, where it is decided already, such as 1.3B."},
           {.name = "tokens",
            .value = "TOKENS",
            .help = "The training tokens, repeats included, where they are decided already: how "
                    "large a model pays."},
           {.name = "max-params",
            .value = "N",
            .help = "Upper limit of the model size; none by default."},
           {.name = "memory",
            .value = "BYTES",
            .help = "Memory of the machines that train one model together, such as 80GB: a limit "
                    "of the model size by --bytes-per-param."},
           {.name = "bytes-per-param",
            .value = "BYTES",
            .default_value = "16",
            .help = "Memory that --memory counts for a parameter; 16 is mixed precision with Adam, "
                    "activations not included."},
           {.name = "time",
            .value = "DURATION",
            .help = "Upper limit of the training time, such as 24h, at the speeds of --speed; "
                    "alone or with --budget."},
           {.name = "speed",
            .value = "N=TOKENS",
            .help = "A measured speed: tokens a second of a model of N parameters on the machines "
                    "that train one model, such as 124M=250ktok. Straight lines between several "
                    "in logarithms, equal FLOP/s beyond the largest.",
            .repeatable = true},
           {.name = "served",
            .value = "TOKENS",
            .help = "Tokens that the model will read and write in use, at 2 N FLOPs each: the "
                    "budget then pays for training and serving."},
           {.name = "tolerance",
            .value = "SHARE",
            .default_value = "0.001",
            .help = "How far above the least loss, as a share of it, the valley reaches that is "
                    "reported; 0.001 is about the noise of seeds in large runs."},
           {.name = "details", .help = "Also show what each epoch buys."},
           {.name = "csv",
            .value = "FILE",
            .help = "Write the allocations around the plan, or the frontier, as a table."},
           {.name = "figure",
            .value = "FILE.html",
            .help = "Draw the plan or the frontier on one offline page."},
           store_option(),
           {.name = "force", .help = "Plan with a fit that is not to be trusted."}},
      .description = "  ration plan --fit fit.json --budget 1e21flop --unique 25Btok",
      .execute = run_plan};
  for (Option& option : remedies_options()) command.options.push_back(std::move(option));
  for (Option& option : next_options()) command.options.push_back(std::move(option));
  return command;
}

}  // namespace ration::cli
