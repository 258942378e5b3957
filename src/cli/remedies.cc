#include "cli/remedies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/fit_input.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/remedies_input.h"
#include "cli/remedies_text.h"
#include "cli/store_option.h"
#include "cli/task_score.h"
#include "fit/fit_file.h"
#include "report/remedy_figures.h"
#include "study/remedies/study.h"

namespace ration::cli {
namespace {

// How a list is made of what was measured.
struct Pricing {
  std::string fit = {};  // file; empty = a law is fitted to the study's own runs
  fit::Options law = {.resamples = 200, .profile_points = 0};
  plan::PriceOptions price = {};
};

Result<Pricing> read_pricing(const Arguments& arguments) {
  OptionReader read{arguments};
  Pricing pricing;
  pricing.fit = arguments.text("fit").value_or("");
  pricing.law.law = arguments.text("law").value_or(pricing.law.law);
  pricing.law.delta = read.quantity("delta", "").value_or(pricing.law.delta);
  pricing.law.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  pricing.price.seed = pricing.law.seed;
  pricing.price.draws =
      static_cast<int>(read.whole("draws", 100, 10'000).value_or(pricing.price.draws));
  pricing.price.level = read.quantity("level", "").value_or(pricing.price.level);
  pricing.price.wanted = read.quantity("wanted", "").value_or(pricing.price.wanted);
  pricing.price.largest_share = read.quantity("largest-share", "");
  for (Error& problem : plan::check(pricing.price)) read.problems.push_back(std::move(problem));
  if (pricing.fit.empty())
    for (Error& problem : fit::check(pricing.law)) read.problems.push_back(std::move(problem));
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the price list are wrong");
  return pricing;
}

struct Priced {
  fit::Fit law;
  plan::PriceList list;
};

Result<Priced> price_measures(const study::RemedyMeasures& measured, const Pricing& pricing) {
  Result<fit::Fit> law = pricing.fit.empty() ? fit::fit_law(law_observations(measured), pricing.law)
                                             : read_fit(pricing.fit);
  if (!law) return std::move(law).error().with_context("the law that remedies are measured by");
  if (pricing.fit.empty()) {
    law->params_convention = "6nd_head";
    law->source = measured.name;
  }
  Result<plan::PriceList> list = plan::price(
      *law, remedy_runs(measured), measured.baseline, remedy_arms(measured), pricing.price);
  if (!list) return std::move(list).error();
  list->notes.insert(list->notes.begin(), measured.notes.begin(), measured.notes.end());
  return Priced{.law = std::move(*law), .list = std::move(*list)};
}

// 4 where no number of the list is to be trusted.
int exit_code(const Priced& priced) {
  const bool all_doubtful =
      std::all_of(priced.list.rows.begin(), priced.list.rows.end(), [](const plan::PriceRow& row) {
        return row.has(plan::Flag::not_resolvable) || row.has(plan::Flag::few_seeds);
      });
  return !priced.law.trusted() || all_doubtful ? 4 : 0;
}

int print(const Priced& priced, const Console& console) {
  if (console.json)
    console.print_json(plan::to_json(priced.list));
  else
    console.print(remedies_text(priced.list));
  if (!priced.law.trusted())
    for (const fit::Doubt& doubt : priced.law.doubts)
      if (doubt.fatal) console.note(fmt::format("the law: {}: {}", doubt.subject, doubt.what));
  return exit_code(priced);
}

report::Table table_of(const plan::PriceList& list) {
  const auto number = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? fmt::format("{:.3g}", *value) : std::string("–");
  };
  std::vector<std::vector<std::string>> cells = {{"remedy",
                                                  "size",
                                                  "unique tokens, times",
                                                  "from",
                                                  "to",
                                                  "nats gained",
                                                  "compute",
                                                  "to be known"}};
  for (const plan::PriceRow& row : list.rows) {
    std::vector<std::string> flags;
    for (const plan::Flag flag : row.flags) flags.emplace_back(plan::name_of(flag));
    cells.push_back({row.arm,
                     row.size,
                     number(row.multiplier.value),
                     number(row.multiplier.low),
                     number(row.multiplier.high),
                     fmt::format("{:+.4f}", row.gain.value),
                     number(row.compute),
                     fmt::format("{}", fmt::join(flags, "; "))});
  }
  return page_table(std::move(cells));
}

report::Page page_of(const plan::PriceList& list, const std::string& study) {
  std::vector<std::string> paragraphs = plan::assumptions(list);
  paragraphs.insert(paragraphs.end(), list.notes.begin(), list.notes.end());
  return {.title = fmt::format("Remedies against scarce text: {}", study),
          .sections = {{.title = "What each is worth in text",
                        .paragraphs = std::move(paragraphs),
                        .tables = {table_of(list)},
                        .figures = {report::forest_figure(list)}}}};
}

Result<int> run_remedies(const Arguments& arguments) {
  Result<Pricing> pricing = read_pricing(arguments);
  if (!pricing) return std::move(pricing).error();
  if (Result<void> fine = check_page_folder(arguments); !fine) return std::move(fine).error();
  const std::string name = arguments.positional.empty() ? "" : arguments.positional.front();
  Result<study::RemedyMeasures> measured = read_measures(*arguments.text("store"), name);
  if (!measured) return std::move(measured).error();
  Result<Priced> priced = price_measures(*measured, *pricing);
  if (!priced) return std::move(priced).error();
  if (const std::optional<std::string> file = arguments.text("save-fit"))
    if (Result<void> saved =
            real_files().write_whole(*file, fit::to_json(priced->law).dump(1) + "\n");
        !saved)
      return std::move(saved).error();
  const int code = print(*priced, arguments.console);
  Result<void> page =
      write_asked_page(arguments, [&] { return page_of(priced->list, measured->name); });
  if (!page) return std::move(page).error();
  return arguments.flag("force") ? 0 : code;
}

}  // namespace

Result<int> carry_out_remedies(const scheduler::Sweep& sweep,
                               const scheduler::SweepOptions& options,
                               scheduler::Outside outside,
                               const Console& console) {
  Result<study::RemedyMeasures> measured =
      study::measure_remedies(sweep, options, outside, task_scorer(options, outside, sweep.name));
  if (!measured) return std::move(measured).error();
  if (Result<void> done = study::write_measures(outside.files, options.store, *measured); !done)
    return std::move(done).error();
  console.note(fmt::format("measured: {}; `ration remedies {}` prices it again",
                           study::measures_path(options.store, sweep.name).string(),
                           sweep.name));
  Result<Priced> priced = price_measures(*measured, {});
  if (!priced) return std::move(priced).error();
  return print(*priced, console);
}

Command remedies_command() {
  return {
      .name = "remedies",
      .summary = "The price list of remedies against scarce text: what each is worth in text",
      .arguments = "[SWEEP|FILE]",
      .max_arguments = 1,
      .options =
          {store_option(),
           {.name = "fit",
            .value = "FILE",
            .help = "a fit to invert, as `ration fit -o` writes it, of a law that describes "
                    "repetition; by default one is fitted to the study's own runs of plain "
                    "repetition"},
           {.name = "law",
            .value = "NAME",
            .default_value = "data-constrained",
            .help = "the law that is fitted; `ration fit --help` lists them"},
           {.name = "delta",
            .value = "NUMBER",
            .help = "knee of its Huber loss in units of ln loss; 1e-3, the published one, by "
                    "default; about the noise of seeds where that is larger"},
           {.name = "draws",
            .value = "N",
            .default_value = "400",
            .help = "of the bootstrap, 100 to 10000: 400 place the ends of an interval within "
                    "about a tenth of its width"},
           {.name = "level",
            .value = "NUMBER",
            .default_value = "0.95",
            .help = "probability inside the intervals, above 0 and below 1"},
           {.name = "wanted",
            .value = "NUMBER",
            .default_value = "0.1",
            .help = "deviation of the logarithm of unique tokens that the seeds needed are "
                    "counted for; 0.1 tells 1.25 times the text from none"},
           {.name = "largest-share",
            .value = "NUMBER",
            .help = "the largest share of added tokens that is at hand, above 0 and below 1; by "
                    "default the largest that was measured"},
           {.name = "seed",
            .value = "N",
            .default_value = "0",
            .help = "of the draws: equal seeds, equal intervals"},
           {.name = "save-fit",
            .value = "FILE",
            .help = "write the fit that prices, for `ration plan --fit FILE --remedies LIST`"},
           {.name = "force", .help = "exit with 0 although the law or all rows are doubtful"},
           page_option()},
      .description =
          "Prices what `ration run` of a sweep with [remedies] measured. Each remedy is compared, "
          "seed by seed,\nwith the same text repeated at the same compute; its gain is turned into "
          "unique tokens by the fitted\nlaw. A number that cannot be trusted is never printed "
          "without the reason. Without an argument: the\nonly such study of the store.\n\n"
          "  ration run sweeps/remedies.toml\n"
          "  ration remedies --page remedies.html\n"
          "  ration remedies --save-fit fit.json --json > list.json",
      .execute = run_remedies};
}

}  // namespace ration::cli
