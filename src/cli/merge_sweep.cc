#include "cli/merge_sweep.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/trainer_call.h"
#include "scheduler/local_executor.h"

namespace ration::cli {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json estimate_json(const study::Estimate& estimate) {
  return {{"value", number(estimate.value)},
          {"low", number(estimate.low)},
          {"high", number(estimate.high)},
          {"p", number(estimate.p)}};
}

Json report_json(const study::MergeReport& report, const Path& folder) {
  Json recovered = Json::array(), claims = Json::array(), left_out = Json::array();
  for (const study::MergeSummary& each : report.summaries)
    recovered.push_back({{"method", each.label},
                         {"variant", each.variant},
                         {"models", each.size},
                         {"params", each.members},
                         {"loss_nats", number(each.loss)},
                         {"recovered", estimate_json(each.recovered)},
                         {"merges", each.merges},
                         {"unusable", each.unusable}});
  for (const study::MergeClaim& claim : report.claims)
    claims.push_back({{"variant", claim.variant},
                      {"statistic", claim.statistic},
                      {"method", claim.method},
                      {"minus", claim.other},
                      {"difference", estimate_json(claim.difference)},
                      {"p_holm", number(claim.holm)}});
  for (const std::size_t corpus : report.outcome.left_out)
    left_out.push_back(report.models.corpora[corpus]);
  return {{"schema", "ration.merge_sweep/1"},
          {"study", report.name},
          {"folder", folder.string()},
          {"corpora", report.models.corpora},
          {"left_out", left_out},
          {"recovered", recovered},
          {"claims", claims}};
}

std::string text_of(const report::Table& table) {
  std::vector<std::vector<std::string>> rows = {table.header};
  rows.insert(rows.end(), table.rows.begin(), table.rows.end());
  return cli::table(rows);
}

void print(const study::MergeReport& report, const Path& folder, const Console& console) {
  if (console.json) return console.print_json(report_json(report, folder));
  if (console.quiet) return console.print(folder.string() + "\n");
  console.print(text_of(study::recovered_table(report)));
  if (!report.claims.empty()) console.print("\n" + text_of(study::claims_table(report)));
  for (const std::string& remark : study::merge_remarks(report)) console.note(remark);
  console.note(fmt::format("tables and page.html are in {}", folder.string()));
}

Result<int> run_merge_sweep(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, file);
  if (!sweep) return std::move(sweep).error();
  if (!sweep->study || sweep->study->kind != "merge")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} has no table [merge]", file),
                 .hint = "docs/merging.md shows one; `ration run` carries out other sweeps"};
  return run_sweep_files(arguments);
}

}  // namespace

Result<int> carry_out_merge_sweep(const scheduler::Sweep& sweep,
                                  const scheduler::SweepOptions& options,
                                  scheduler::Outside outside,
                                  const Console& console) {
  // A checkpoint is measured by the trainer, which says itself what it does.
  const study::MeasureFisher measure =
      [&](const Path& checkpoint, const Path& data, const Path& file) -> Result<void> {
    Result<Path> trainer = scheduler::find_trainer(options.trainer);
    if (!trainer) return std::move(trainer).error();
    outside.observer.note(fmt::format("Fisher information of {}", checkpoint.string()));
    return call_trainer(
        *trainer,
        {"--statistics", "fisher", data.string(), checkpoint.string(), "-o", file.string()});
  };
  Result<study::MergeReport> report = study::study_merges(sweep, options, outside, measure);
  if (!report) return std::move(report).error();
  Result<Path> folder =
      study::write_merge_report(outside.files, options.store, *report, drawing_script(console));
  if (!folder) return std::move(folder).error();
  print(*report, *folder, console);
  return 0;
}

Command merge_sweep_command() {
  return {
      .name = "merge sweep",
      .summary = "Compare methods of merging, their hyper-parameters chosen on held-out text",
      .arguments = "SWEEP.toml",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = sweep_run_options(),
      .description =
          "Does what `ration run` does with a file that has a table [merge]: trains its runs, "
          "merges subsets of\nthem by every method, chooses hyper-parameters on one half of the "
          "held-out windows and reports the\nshare of the gain that is left on the other. With "
          "weights that exist nothing is trained. Repeat it at\nany time: what is done stays "
          "done.\n\n"
          "  ration merge sweep sweeps/interference.toml -j 2",
      .execute = run_merge_sweep};
}

}  // namespace ration::cli
