#include "cli/region_run.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/run.h"
#include "cli/table.h"
#include "eval/points.h"
#include "study/region/page.h"
#include "study/region/study.h"
#include "study/training.h"

namespace ration::cli {
namespace {

// Fine-tunings of the study; nothing when all are done.
Result<void> train(const scheduler::Sweep& sweep,
                   scheduler::SweepOptions options,
                   scheduler::Outside outside) {
  options.expand = {};
  options.runs.reset();
  Result<scheduler::RunSummary> summary = scheduler::run_sweep(sweep, options, outside);
  if (!summary) return std::move(summary).error();
  if (summary->detached || summary->cause == scheduler::StopCause::interrupt)
    return Error{.kind = ErrorKind::interrupted,
                 .what = fmt::format("{} is not trained to its end", sweep.name),
                 .hint = "the same command continues"};
  if (summary->exit_code() != 0)
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("sweep {}: {}", sweep.name, summary->one_line()),
                 .hint = fmt::format("`ration status --sweep {}` shows its runs; the same command "
                                     "continues after `ration retry`",
                                     sweep.name)};
  return {};
}

study::RegionWork work_of(const scheduler::SweepOptions& options, scheduler::Outside outside) {
  return {.evaluate =
              [options, outside](const study::Model& shape,
                                 const run::PointList& list,
                                 const std::string& name,
                                 std::size_t parts) {
                return eval::evaluate_points(
                    shape.spec, shape.execution, list, name, options, outside, {.parts = parts});
              },
          .train = [options, outside](
                       const scheduler::Sweep& sweep) { return train(sweep, options, outside); },
          .weights_of =
              [store = options.store, &files = outside.files](const study::Model& model) {
                return study::weights_of_run(files, store, model.run);
              }};
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json study_json(const scheduler::Sweep& sweep, const study::RegionStudy& found) {
  Json findings = Json::array();
  for (const study::Finding& finding : found.findings)
    findings.push_back({{"question", finding.question},
                        {"about", finding.about},
                        {"statistic", finding.statistic},
                        {"value", number(finding.estimate.value)},
                        {"low", number(finding.estimate.low)},
                        {"high", number(finding.estimate.high)},
                        {"p", number(finding.estimate.p)},
                        {"n", finding.n},
                        {"remark", finding.remark}});
  return {{"schema", "ration.region_study/1"},
          {"study", sweep.name},
          {"folder", found.folder.string()},
          {"findings", findings}};
}

void print(const scheduler::Sweep& sweep, const study::RegionStudy& found, const Console& console) {
  if (console.json) return console.print_json(study_json(sweep, found));
  const report::Table answer = study::region_answer(found.findings);
  std::vector<std::vector<std::string>> rows = {answer.header};
  rows.insert(rows.end(), answer.rows.begin(), answer.rows.end());
  console.print(table(rows));
  console.note(fmt::format("tables and page.html are in {}", found.folder.string()));
}

Result<int> run_regions(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, file);
  if (!sweep) return std::move(sweep).error();
  if (!sweep->study || sweep->study->kind != "region")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} has no table [region]", file),
                 .hint = "docs/region-study.md shows one; `ration run` carries out other sweeps"};
  return run_sweep_files(arguments);
}

}  // namespace

Result<void> check_regions(const scheduler::Sweep& sweep,
                           const scheduler::SweepOptions& options,
                           Files& files) {
  return study::check_region_study(sweep, options.expand, files);
}

Result<int> carry_out_regions(const scheduler::Sweep& sweep,
                              const scheduler::SweepOptions& options,
                              scheduler::Outside outside,
                              const Console& console) {
  const study::RegionWork work = work_of(options, outside);
  Result<study::RegionStudy> found =
      study::study_regions(sweep, options.expand, options.store, outside.files, work);
  if (!found) return std::move(found).error();
  for (const report::Section& section : found->page.sections)
    for (const report::Figure& figure : section.figures)
      if (Result<void> done = outside.files.write_whole(found->folder / (figure.name + ".vl.json"),
                                                        figure.spec.dump(1) + "\n");
          !done)
        return std::move(done).error();
  if (Result<void> done = write_page(console, found->page, (found->folder / "page.html").string());
      !done)
    return std::move(done).error();
  print(sweep, *found, console);
  return 0;
}

Command region_run_command() {
  return {
      .name = "region run",
      .summary = "Study where fine-tuned models lie in weight space, and what lies between",
      .arguments = "SWEEP.toml",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = sweep_run_options(),
      .description =
          "Does what `ration run` does with a file that has a table [region]: trains its runs, "
          "measures cosines and\nclusters, evaluates lines, hulls and controls on held-out text, "
          "and fine-tunes from centroids. Repeat\nit at any time: what is done stays done.\n\n"
          "  ration region run sweeps/regions.toml -j 2",
      .execute = run_regions};
}

}  // namespace ration::cli
