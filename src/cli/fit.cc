#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/draw_options.h"
#include "cli/fit_input.h"
#include "cli/fit_text.h"
#include "fit/choice.h"
#include "fit/fit_file.h"

namespace ration::cli {
namespace {

Result<std::vector<std::pair<std::string, double>>> fixed_values(const Arguments& arguments) {
  auto pairs = parse_pairs("fix", arguments.all("fix"));
  if (!pairs) return std::move(pairs).error();
  std::vector<std::pair<std::string, double>> fixed;
  for (const auto& [name, text] : *pairs) {
    Result<double> value = parse_quantity(text, "");
    if (!value) return std::move(value).error().with_context("--fix " + name);
    fixed.emplace_back(name, *value);
  }
  return fixed;
}

Result<fit::Options> fit_options(const Arguments& arguments) {
  OptionReader read{arguments};
  fit::Options options{.law = arguments.text("law").value_or("")};
  options.delta = read.quantity("delta", "").value_or(options.delta);
  options.asymmetry = read.quantity("asymmetry", "").value_or(options.asymmetry);
  options.focus = read.quantity("focus", "").value_or(options.focus);
  options.objective =
      read.choice<fit::Objective>(
              "objective", {{"huber", fit::Objective::huber}, {"squares", fit::Objective::squares}})
          .value_or(options.objective);
  options.starts =
      read.choice<fit::Starts>(
              "starts", {{"spread", fit::Starts::spread}, {"published", fit::Starts::published}})
          .value_or(options.starts);
  options.resample =
      read.choice<fit::Resample>(
              "resample", {{"settings", fit::Resample::settings}, {"runs", fit::Resample::runs}})
          .value_or(options.resample);
  options.profile_points =
      static_cast<int>(read.whole("profile", 0, 1000).value_or(options.profile_points));
  options.fixed = read.keep(fixed_values(arguments)).value_or(options.fixed);
  const fit::DrawOptions draws = read_draws(read, 0);
  options.resamples = draws.resamples;
  options.interval = draws.interval;
  options.seed = draws.seed;
  options.threads = draws.threads;
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the fit are wrong");
  return options;
}

Result<fit::Fit> fit_input(const FitInput& input, const fit::Options& options) {
  Result<fit::Fit> fit = fit::fit_law(input.runs, options);
  if (!fit) return fit;
  fit->source = input.source;
  fit->params_convention = input.params_convention;
  return fit;
}

// The law that the runs cannot refute and the others do not outvote (fit/choice.h), fitted.
Result<fit::Fit> fit_chosen(const FitInput& input, fit::Options options) {
  Result<fit::Choice> choice = fit::choose_law(input.runs, options, fit::beyond(input.runs));
  if (!choice) return std::move(choice).error();
  options.law = choice->candidates.front().law->name();
  Result<fit::Fit> fit = fit_input(input, options);
  if (fit) fit->candidates = std::move(choice->candidates);
  return fit;
}

// Every law on the same runs, what is held fixed left out where a law lacks it.
Result<std::vector<fit::Fit>> fit_all_laws(const FitInput& input, fit::Options options) {
  const auto asked = options.fixed;
  std::vector<fit::Fit> fits;
  for (const fit::Law* law : fit::all_laws()) {
    options.law = law->name();
    options.fixed.clear();
    for (const auto& [name, value] : asked)
      for (const fit::Parameter& parameter : law->parameters())
        if (parameter.name == name) options.fixed.emplace_back(name, value);
    Result<fit::Fit> fit = fit_input(input, options);
    if (!fit) return std::move(fit).error();
    fits.push_back(std::move(*fit));
  }
  return fits;
}

Result<void> store_fit(const Arguments& arguments, const FitInput& input, const fit::Fit& fit) {
  const Json document = fit::to_json(fit);
  if (const auto file = arguments.text("output")) {
    Result<void> written = real_files().write_whole(*file, document.dump(1) + "\n");
    if (!written) return written;
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  if (!input.from_store) return {};
  Result<store::FitWriter> writer =
      store::FitWriter::open(real_files(), system_clock(), *arguments.text("store"));
  if (!writer) return std::move(writer).error();
  Result<std::int64_t> id = writer->record({.law = std::string(fit.law->name()),
                                            .query = input.source,
                                            .status = fit.search.stopped,
                                            .loss = fit.objective,
                                            .document = document,
                                            .runs = input.run_ids});
  if (!id) return std::move(id).error();
  arguments.console.note(fmt::format("stored as fit {}; `ration plan` uses the newest", *id));
  return {};
}

void print_fit(const Console& console, const fit::Fit& fit, const std::vector<fit::Fit>& compared) {
  if (!console.json) {
    console.print(fit_text(fit));
    if (!fit.candidates.empty()) console.print(choice_text(fit));
    if (!compared.empty()) console.print(comparison_text(compared));
    return;
  }
  Json document = fit::to_json(fit);
  for (const fit::Fit& other : compared) {
    Json entry = fit::to_json(other);
    entry.erase("bootstrap");
    document["compared"].push_back(std::move(entry));
  }
  console.print_json(document);
}

Result<int> run_fit(const Arguments& arguments) {
  const Console& console = arguments.console;
  Result<fit::Options> options = fit_options(arguments);
  if (!options) return std::move(options).error();
  const bool choose = options->law == "auto";
  if (choose) options->law = fit::Options().law;  // until it is chosen
  if (choose && !options->fixed.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "--law auto cannot hold parameters, for laws have different ones",
                 .hint = "name the law, or leave out --fix"};
  if (std::vector<Error> problems = fit::check(*options); !problems.empty())
    return combine(std::move(problems), "the options of the fit are wrong");
  Result<FitInput> input =
      read_input(arguments, arguments.positional.empty() ? "" : arguments.positional.front());
  if (!input) return std::move(input).error();
  for (const std::string& note : input->notes) console.note(note);

  Result<fit::Fit> fit = choose ? fit_chosen(*input, *options) : fit_input(*input, *options);
  if (!fit) return std::move(fit).error();
  std::vector<fit::Fit> compared;
  if (arguments.flag("compare")) {
    Result<std::vector<fit::Fit>> all = fit_all_laws(*input, *options);
    if (!all) return std::move(all).error();
    compared = std::move(*all);
  }
  print_fit(console, *fit, compared);

  if (fit->trusted() || arguments.flag("force")) {
    Result<void> stored = store_fit(arguments, *input, *fit);
    if (!stored) return std::move(stored).error();
    return 0;
  }
  Error error = fit::untrusted(*fit);
  if (!console.json) return error;
  console.note(error.describe());  // stdout holds the document already
  return exit_code(error.kind);
}

}  // namespace

Command fit_command() {
  std::vector<Option> options = {
      {.name = "law",
       .value = "LAW",
       .default_value = "data-constrained",
       .help = fmt::format("One of {}; or auto, which weighs all of them where the runs end.",
                           fmt::join(fit::law_names(), ", "))},
      {.name = "compare", .help = "Fit every law to the same runs and put them side by side."},
      {.name = "output", .value = "FILE", .help = "Write the fit as JSON.", .letter = 'o'},
      {.name = "delta",
       .value = "LN",
       .default_value = "0.001",
       .help = "Knee of the Huber loss in units of ln L, above 0. 0.001 is the published choice; "
               "about twice the noise (0.03) suits small runs whose seeds differ by per cents."},
      {.name = "objective",
       .value = "NAME",
       .default_value = "huber",
       .help = "What is minimised over the residuals of ln L: huber, or squares, which outliers "
               "sway."},
      {.name = "asymmetry",
       .value = "X",
       .default_value = "1",
       .help = "Weight of runs predicted too high against those predicted too low, 0.01 to 100. "
               "Badly tuned runs only lie above a law: 10 follows the best ones."},
      {.name = "focus",
       .value = "X",
       .help =
           "Let runs fade with their distance in ln C from the most expensive one: those of 1/e^X "
           "of its compute count 1/e. By default all count alike; 3 (a factor of 20) suits sweeps "
           "over many orders of compute."},
      {.name = "starts",
       .value = "NAME",
       .default_value = "spread",
       .help = "Where the search starts: spread over the law's basins, or published, the grid of "
               "the law's source (chinchilla: 4,500 starts)."},
      {.name = "bootstrap",
       .value = "N",
       .default_value = "400",
       .help = "Refits on resampled settings behind the intervals, 0 (none) to 100000."},
      {.name = "resample",
       .value = "WHAT",
       .default_value = "settings",
       .help = "What the bootstrap draws: settings, whose replicas stay together, or runs, one by "
               "one."},
      {.name = "profile",
       .value = "N",
       .default_value = "25",
       .help = "Values of each parameter at which all others are fitted again, 3 to 1000, or 0 "
               "(none)."},
      {.name = "fix",
       .value = "NAME=VALUE",
       .help = "Hold a parameter at a value in natural units; the published two-stage fit holds A, "
               "B, E, alpha and beta.",
       .repeatable = true},
      {.name = "force", .help = "Keep a fit that is not to be trusted (exit code 4 without)."},
  };
  for (Option& option : input_options()) options.push_back(std::move(option));
  for (Option& option : draw_options()) options.push_back(std::move(option));
  return {.name = "fit",
          .summary = "Fit a scaling law to finished runs, with intervals and doubts",
          .arguments = "[SWEEP | FILE.csv]",
          .max_arguments = 1,
          .options = std::move(options),
          .description =
              "Without an argument all runs of the store are fitted. A table needs the "
              "columns params, tokens,\nunique_tokens (optional) and loss.\n\n"
              "  ration fit runs.csv --law data-constrained -o fit.json",
          .execute = run_fit};
}

}  // namespace ration::cli
