#include "cli/plan_next.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "cli/fit_input.h"
#include "fit/jsonl.h"
#include "plan/next.h"
#include "run/count.h"
#include "run/weights.h"
#include "scheduler/sweep.h"

namespace ration::cli {
namespace {

// What may be chosen, and how the choice is written down.
struct Candidates {
  fit::Points points;
  std::vector<std::string> rows;  // what the output says of each: a [[list]] table or a CSV line
  std::string head;               // of the output
};

std::string toml_value(const run::Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) return fmt::format("\"{}\"", v);
        if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
        if constexpr (std::is_same_v<T, double>) {
          const std::string text = fmt::format("{}", v);
          return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
        }
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
          return fmt::format("{}", v);
        return "";
      },
      value);
}

// Settings that sweeps calculate and do not accept.
bool calculated(const std::string& name) {
  static const std::set<std::string> names = {
      "vocab", "data_digest", "seed", "subset_seed", "numerics"};
  return names.contains(name);
}

std::string list_row(const run::RunSpec& spec) {
  std::string row = "[[list]]\n";
  for (const run::Field& field : run::identity_fields())
    if (!calculated(field.name))
      row += fmt::format("{} = {}\n", field.name, toml_value(run::get(spec, field.name)));
  return row;
}

Result<Candidates> candidates_of_sweep(const std::string& file, const std::string& convention) {
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, file);
  if (!sweep) return std::move(sweep).error();
  Result<scheduler::Expansion> expansion = scheduler::expand(*sweep, real_files());
  if (!expansion) return std::move(expansion).error();
  Candidates candidates;
  for (const scheduler::PlannedRun& run : expansion->runs) {
    if (run.replica != 0) continue;  // another seed of the same setting
    if (!run::trains_from_scratch(run.spec)) continue;
    candidates.points.add(
        Params(counted_params(run.spec, convention)),
        Tokens(static_cast<double>(run.spec.tokens)),
        Tokens(static_cast<double>(std::min(run.spec.unique_tokens, run.spec.tokens))));
    candidates.rows.push_back(list_row(run.spec));
    if (candidates.head.empty())
      candidates.head = fmt::format("# Chosen by `ration plan --next` from {}.\ndata = \"{}\"\n\n",
                                    Path(file).filename().string(),
                                    run.execution.data);
  }
  return candidates;
}

Result<Candidates> candidates_of_table(const std::string& file) {
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<fit::Csv> csv = fit::parse_table(*text, file);
  if (!csv) return std::move(csv).error();
  Result<fit::RunTable> table = fit::read_runs(*csv, {.need_loss = false});
  if (!table) return std::move(table).error();
  Candidates candidates{.head = csv->header.raw + "\n"};
  for (std::size_t i = 0; i < table->runs.size(); ++i) {
    const fit::Observation& run = table->runs[i];
    candidates.points.add(run.params, run.tokens, run.unique);
    candidates.rows.push_back(csv->rows[table->rows[i]].raw + "\n");
  }
  return candidates;
}

// Adds PARAMS:TOKENS or PARAMS:TOKENS:UNIQUE.
Result<void> add_target(const std::string& text, fit::Points& targets) {
  const std::size_t first = text.find(':'), second = text.find(':', first + 1);
  const Error wrong{.kind = ErrorKind::usage,
                    .what = fmt::format("--target: \"{}\" is no setting", text),
                    .hint = "PARAMS:TOKENS or PARAMS:TOKENS:UNIQUE, such as 7B:140Btok:25Btok"};
  if (first == std::string::npos) return wrong;
  const bool repeats = second != std::string::npos;
  const Result<double> params = parse_quantity(text.substr(0, first), "params");
  const Result<double> tokens = parse_quantity(
      text.substr(first + 1, repeats ? second - first - 1 : std::string::npos), "tok");
  if (!params || !tokens) return wrong;
  const Result<double> unique = repeats ? parse_quantity(text.substr(second + 1), "tok") : tokens;
  if (!unique || !(*params > 0 && *unique > 0 && *tokens >= *unique)) return wrong;
  targets.add(Params(*params), Tokens(*tokens), Tokens(*unique));
  return {};
}

Result<plan::NextRequest> next_request(const Arguments& arguments, const plan::Request& request) {
  plan::NextRequest next{.plan = request};
  OptionReader read{arguments};
  const auto count = read.whole("next", 1, 100000);
  next.choosing.count = static_cast<int>(count.value_or(1));
  next.choosing.spend = read.quantity("spend", "flop").value_or(request.budget.value);
  next.choosing.gamma = read.quantity("gamma", "");
  next.choosing.gain = asked_gain(read).value_or(next.choosing.gain);
  next.misfit.size = read.quantity("misfit", "").value_or(next.misfit.size);
  next.misfit.reach = read.quantity("reach", "").value_or(next.misfit.reach);
  for (const std::string& target : arguments.all("target"))
    if (Result<void> added = add_target(target, next.targets); !added)
      read.problems.push_back(std::move(added).error());
  if (!read.problems.empty()) return combine(std::move(read.problems), "no runs can be chosen");
  if (!std::isfinite(next.choosing.spend))
    return Error{.kind = ErrorKind::usage,
                 .what = "--spend is missing: the most that the runs of --next may cost together",
                 .hint = "for example --spend 1e20flop"};
  return next;
}

std::string next_text(const plan::NextRuns& next, const Candidates& candidates) {
  std::string text = fmt::format("  {:>10} {:>12} {:>12} {:>8} {:>11} {:>12}\n",
                                 "parameters",
                                 "tokens",
                                 "unique",
                                 "epochs",
                                 "flop",
                                 "tells apart");
  for (const fit::Chosen& run : next.selection.runs) {
    const std::size_t i = run.candidate;
    text += fmt::format("  {:>10} {:>12} {:>12} {:>8.3g} {:>11.3g} {:>10.0f} %\n",
                        format_quantity(std::exp(candidates.points.log_params[i])),
                        format_quantity(std::exp(candidates.points.log_tokens[i]), "tok"),
                        format_quantity(std::exp(candidates.points.log_unique[i]), "tok"),
                        1 + candidates.points.repeats[i],
                        run.cost,
                        100 * run.disagreement / run.gain);
  }
  text += fmt::format(
      "\n{} runs of {} candidates, {:.3g} flop\n"
      "expected error of the loss there: {:.2g} % now, {:.2g} % then ({} {}, noise {:.2g} % a "
      "run)\n",
      next.selection.runs.size(),
      candidates.points.size(),
      next.selection.spent,
      100 * next.selection.outlook.error_before,
      100 * next.selection.outlook.error_after,
      next.modes,
      next.modes == 1 ? "mode" : "modes",
      100 * next.noise);
  return text;
}

Json next_json(const plan::NextRuns& next, const Candidates& candidates) {
  Json runs = Json::array();
  for (const fit::Chosen& run : next.selection.runs)
    runs.push_back({{"params", std::exp(candidates.points.log_params[run.candidate])},
                    {"tokens", std::exp(candidates.points.log_tokens[run.candidate])},
                    {"unique_tokens", std::exp(candidates.points.log_unique[run.candidate])},
                    {"candidate", run.candidate},
                    {"flops", run.cost},
                    {"gain", run.gain},
                    {"disagreement", run.disagreement}});
  return {{"schema", "ration.next/1"},
          {"runs", runs},
          {"spent", next.selection.spent},
          {"error_before", next.selection.outlook.error_before},
          {"error_after", next.selection.outlook.error_after},
          {"modes", next.modes},
          {"noise", next.noise}};
}

}  // namespace

std::optional<fit::Gain> asked_gain(OptionReader& read) {
  return read.choice<fit::Gain>("gain",
                                {{"prediction", fit::Gain::prediction},
                                 {"decision", fit::Gain::decision},
                                 {"determinant", fit::Gain::determinant}});
}

std::vector<Option> next_options() {
  return {
      {.name = "next",
       .value = "K",
       .help = "Choose K runs that would make the plan surer, in place of planning."},
      {.name = "candidates",
       .value = "FILE",
       .help =
           "What --next chooses from: a sweep (.toml), or a table (.csv) with params, tokens and "
           "unique_tokens."},
      {.name = "spend",
       .value = "FLOP",
       .help = "Compute for the runs of --next together; by default that of --budget."},
      {.name = "target",
       .value = "N:TOKENS[:UNIQUE]",
       .help =
           "A setting whose loss --next is to make surer, such as 7B:140Btok:25Btok; by default "
           "the plan's recommendation and a factor of 1.5 to both sides of its size.",
       .repeatable = true},
      {.name = "gain",
       .value = "NAME",
       .default_value = "prediction",
       .help = "What --next buys: prediction (of the loss at the plan, and what tells laws apart), "
               "decision (parameters at the optimum) or determinant (all of the law)."},
      {.name = "gamma",
       .value = "X",
       .help = "Gains are divided by cost^X, 0 to 2; by default the best of 1, 0.75, 0.5, 0.25 and "
               "0."},
      {.name = "misfit",
       .value = "LN",
       .default_value = "0.2",
       .help = "Standard deviation of ln L by which --next takes the law to be wrong at any one "
               "place, 0 (it is true) to 1."},
      {.name = "reach",
       .value = "X",
       .default_value = "6",
       .help = "Distance in ln C, ln epochs and ln N/U together over which that error falls to 1/e "
               "of itself, above 0."},
      {.name = "output",
       .value = "FILE",
       .help = "Write the choice of --next: a sweep for `ration run`, or a table.",
       .letter = 'o'},
  };
}

Result<int> run_plan_next(const Arguments& arguments,
                          const fit::Fit& fit,
                          const plan::Request& request) {
  const std::string file = arguments.text("candidates").value_or("");
  if (file.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "--next needs --candidates, the runs to choose from",
                 .hint = "a sweep with all settings that could be trained, or a table"};
  Result<plan::NextRequest> wanted = next_request(arguments, request);
  if (!wanted) return std::move(wanted).error();
  Result<Candidates> candidates = file.ends_with(".csv")
                                      ? candidates_of_table(file)
                                      : candidates_of_sweep(file, fit.params_convention);
  if (!candidates) return std::move(candidates).error();
  Result<plan::NextRuns> next = plan::choose_next(fit, candidates->points, *wanted);
  if (!next) return std::move(next).error();

  if (const auto output = arguments.text("output")) {
    const bool to_sweep = output->ends_with(".toml"), from_table = file.ends_with(".csv");
    if (to_sweep == from_table)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("the candidates of {} cannot be written to {}", file, *output),
          .hint = from_table ? "a table becomes a table: name a .csv file"
                             : "a sweep becomes a sweep: name a .toml file"};
    std::string text = candidates->head;
    for (const fit::Chosen& run : next->selection.runs) text += candidates->rows[run.candidate];
    if (Result<void> written = real_files().write_whole(*output, text); !written)
      return std::move(written).error();
    arguments.console.note(fmt::format("wrote {}", *output));
  }
  if (arguments.console.json)
    arguments.console.print_json(next_json(*next, *candidates));
  else
    arguments.console.print(next_text(*next, *candidates));
  return 0;
}

}  // namespace ration::cli
