#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "scheduler/scheduler.h"

namespace ration::cli {
namespace {

// Shows what the engine reports: a line redrawn on a terminal, else one every ten seconds.
class ConsoleObserver final : public scheduler::Observer {
 public:
  explicit ConsoleObserver(const Console& console) : console_(console) {}

  void note(std::string_view text) override { console_.note(text); }

  void progress(const scheduler::Snapshot& snapshot) override {
    constexpr double kPlainSeconds = 10;
    const double now = system_clock().monotonic_seconds();
    if (!console_.live && now - shown_ < kPlainSeconds) return;
    shown_ = now;
    const std::string left = snapshot.eta_seconds < 0 ? "?" : format_duration(snapshot.eta_seconds);
    console_.progress(fmt::format("{}/{} runs  {:.0f} %  {} active  {} failed  left {}",
                                  snapshot.settled,
                                  snapshot.runs,
                                  100 * snapshot.fraction,
                                  snapshot.active,
                                  snapshot.failed,
                                  left));
  }

 private:
  const Console& console_;
  double shown_ = -1e9;
};

Json row_json(const store::RunRow& row) {
  Json json = {{"run", row.run},
               {"state", std::string(store::name(row.state))},
               {"params", row.params},
               {"tokens", row.tokens},
               {"unique_tokens", row.unique_tokens},
               {"epochs", row.epochs},
               {"attempts", row.attempts}};
  if (row.final_loss > 0) json["final_loss"] = row.final_loss;
  if (!row.reason.empty()) json["reason"] = row.reason;
  return json;
}

// What would be done, and why.
Result<int> dry_run(const Arguments& arguments,
                    const scheduler::Sweep& sweep,
                    const scheduler::SweepOptions& options) {
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, real_files(), options.expand);
  if (!expansion) return std::move(expansion).error();
  const int slots = options.slots > 0 ? options.slots : scheduler::default_slots(*expansion);
  std::optional<store::Reader> reader;
  if (real_files().exists(store::Layout{options.store}.database())) {
    Result<store::Reader> opened = store::Reader::open(real_files(), options.store);
    if (!opened) return std::move(opened).error();
    reader = std::move(*opened);
  }
  const std::int64_t merged = expansion->merged;
  Result<scheduler::Plan> plan =
      scheduler::make_plan(sweep,
                           std::move(*expansion),
                           reader ? &*reader : nullptr,
                           {.slots = slots, .retry_failed = options.retry_failed});
  if (!plan) return std::move(plan).error();
  Json counts = Json::object();
  std::string text;
  for (std::size_t i = 0; i < scheduler::kPlanClasses; ++i) {
    const std::string_view label = scheduler::name(static_cast<scheduler::PlanClass>(i));
    counts[std::string(label)] = plan->counts[i];
    text += fmt::format("  {:<14} {}\n", label, plan->counts[i]);
  }
  if (arguments.console.json) {
    arguments.console.print_json({{"schema", "ration.dry_run/1"},
                                  {"sweep", sweep.name},
                                  {"counts", counts},
                                  {"merged", merged},
                                  {"flops_total", plan->flops_total},
                                  {"flops_to_do", plan->flops_to_do},
                                  {"seconds", plan->seconds}});
    return 0;
  }
  text += fmt::format("  {:<14} {}\n", "merged", merged);
  text += fmt::format("compute        {} to do of {}\n",
                      format_quantity(plan->flops_to_do, "flop"),
                      format_quantity(plan->flops_total, "flop"));
  text += plan->seconds > 0
              ? fmt::format(
                    "time           about {} in {} slots\n", format_duration(plan->seconds), slots)
              : "time           not known before the first run has finished\n";
  arguments.console.print(
      fmt::format("{}: {} runs, nothing written\n{}", sweep.name, plan->rows.size(), text));
  return 0;
}

Result<void> read_options(const Arguments& arguments, scheduler::SweepOptions& options) {
  Result<std::optional<std::int64_t>> slots = arguments.integer("slots");
  if (!slots) return std::move(slots).error();
  Result<std::optional<std::int64_t>> max_runs = arguments.integer("max-runs");
  if (!max_runs) return std::move(max_runs).error();
  options.store = *arguments.text("store");
  options.trainer = arguments.text("trainer").value_or("");
  options.retry_failed = arguments.flag("retry-failed");
  options.slots = static_cast<int>((*slots).value_or(0));
  options.expand.max_runs = (*max_runs).value_or(options.expand.max_runs);
  options.expand.only = arguments.text("only").value_or("");
  return {};
}

Result<int> run_run(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, file);
  if (!sweep) return std::move(sweep).error();
  scheduler::SweepOptions options;
  if (Result<void> read = read_options(arguments, options); !read) return std::move(read).error();
  if (arguments.flag("dry-run")) return dry_run(arguments, *sweep, options);

  ConsoleObserver observer(arguments.console);
  scheduler::StopSignals signals;
  Result<scheduler::RunSummary> summary =
      scheduler::run_sweep(*sweep, options, {real_files(), system_clock(), observer, &signals});
  if (!summary) return std::move(summary).error();
  if (!arguments.console.json) {
    arguments.console.note("");
    arguments.console.print(summary->one_line() + "\n");
    return summary->exit_code();
  }
  Json runs = Json::array();
  for (const store::RunRow& row : summary->rows) runs.push_back(row_json(row));
  arguments.console.print_json({{"schema", "ration.sweep_run/1"},
                                {"sweep", sweep->name},
                                {"exit", summary->exit_code()},
                                {"seconds", summary->seconds},
                                {"runs", runs}});
  return summary->exit_code();
}

// Runs as a table: id, state, what it is, what came out.
std::string table(const std::vector<store::RunRow>& rows) {
  std::string text = fmt::format("{:<12} {:<10} {:>8} {:>9} {:>9} {:>7}  {}\n",
                                 "run",
                                 "state",
                                 "params",
                                 "unique",
                                 "tokens",
                                 "epochs",
                                 "loss");
  for (const store::RunRow& row : rows)
    text += fmt::format("{:<12} {:<10} {:>8} {:>9} {:>9} {:>7}  {}\n",
                        row.run.substr(0, 12),
                        store::name(row.state),
                        format_quantity(row.params),
                        format_quantity(row.unique_tokens),
                        format_quantity(row.tokens),
                        fmt::format("{:.4g}", row.epochs),
                        row.final_loss > 0 ? fmt::format("{:.4f}", row.final_loss) : row.reason);
  return text;
}

Result<int> run_status(const Arguments& arguments) {
  Result<store::Reader> reader = store::Reader::open(real_files(), *arguments.text("store"));
  if (!reader) return std::move(reader).error();
  std::optional<std::int64_t> sweep;
  if (!arguments.positional.empty()) {
    Result<store::SweepRow> found = reader->find_sweep(arguments.positional.front());
    if (!found) return std::move(found).error();
    sweep = found->id;
  }
  Result<store::Progress> progress = reader->progress(sweep);
  if (!progress) return std::move(progress).error();
  Json states = Json::object();
  std::string line;
  for (std::size_t i = 0; i < progress->by_state.size(); ++i) {
    if (progress->by_state[i] == 0) continue;
    const std::string label(store::name(static_cast<store::RunState>(i)));
    states[label] = progress->by_state[i];
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", progress->by_state[i], label);
  }
  const double left = progress->flops_total - progress->flops_settled;
  const double speed = progress->flops_per_second *
                       static_cast<double>(std::max<std::size_t>(1, progress->active.size()));
  const double seconds = speed > 0 ? left / speed : -1;
  if (arguments.console.json) {
    Json active = Json::array();
    for (const store::RunRow& row : progress->active) active.push_back(row_json(row));
    arguments.console.print_json({{"schema", "ration.status/1"},
                                  {"states", states},
                                  {"flops_total", progress->flops_total},
                                  {"flops_settled", progress->flops_settled},
                                  {"active", active}});
    return 0;
  }
  arguments.console.print((line.empty() ? "no runs" : line) + "\n");
  if (left > 0 && seconds > 0)
    arguments.console.print(
        fmt::format("left about {} of one slot's time\n", format_duration(seconds)));
  if (arguments.flag("all")) {
    Result<std::vector<store::RunRow>> rows = reader->runs(sweep);
    if (!rows) return std::move(rows).error();
    arguments.console.print(table(*rows));
  } else if (!progress->active.empty()) {
    arguments.console.print(table(progress->active));
  }
  return 0;
}

Option store_option() {
  return {.name = "store",
          .value = "DIR",
          .default_value = "ration-runs",
          .help = "Folder of the database and the runs."};
}

}  // namespace

Command run_command() {
  return {
      .name = "run",
      .summary = "Train the runs of a sweep; repeat it at any time to continue",
      .arguments = "SWEEP.toml",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = {store_option(),
                  {.name = "dry-run",
                   .help = "Say what would be done, and write nothing.",
                   .letter = 'n'},
                  {.name = "slots",
                   .value = "N",
                   .help = "Runs at once; the cores divided by a run's threads unless given.",
                   .letter = 'j'},
                  {.name = "only",
                   .value = "EXPR",
                   .help = "Only the runs for which this holds: \"width >= 32 and epochs < 4\"."},
                  {.name = "retry-failed", .help = "Also start runs that failed before."},
                  {.name = "trainer",
                   .value = "PATH",
                   .help = "The worker's program; ration-train beside this program unless given."},
                  {.name = "max-runs",
                   .value = "N",
                   .default_value = "100000",
                   .help = "Refuse a sweep with more points: it is usually a mistake."}},
      .description =
          "Finished runs are never started again, also when another sweep asked for "
          "them.\nCtrl-C lets active runs checkpoint; a second one leaves at once.",
      .execute = run_run};
}

Command status_command() {
  return {.name = "status",
          .summary = "Show how far the runs are",
          .arguments = "[SWEEP]",
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "all", .help = "List every run, not the active ones alone."}},
          .execute = run_status};
}

}  // namespace ration::cli
