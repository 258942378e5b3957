#include "cli/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/console_observer.h"
#include "cli/dry_run.h"
#include "cli/law_of_sweep.h"
#include "cli/option_reader.h"
#include "cli/run_loop.h"
#include "cli/store_option.h"
#include "cli/study.h"
#include "cli/table.h"
#include "scheduler/scheduler.h"

namespace ration::cli {
namespace {

using namespace scheduler;

constexpr std::size_t kRowsShown = 40;

Result<SweepOptions> sweep_options(const Arguments& arguments) {
  SweepOptions options;
  options.store = *arguments.text("store");
  options.trainer = arguments.text("trainer").value_or("");
  options.retry_failed = arguments.flag("retry-failed");
  options.take_over = arguments.flag("take-over");
  options.expand.only = arguments.text("only").value_or("");
  options.expand.data = arguments.text("data").value_or("");
  options.policy.keep_going = arguments.flag("keep-going");
  OptionReader read{arguments};
  const auto whole = [&](std::string_view name, std::int64_t low, std::int64_t high, int& target) {
    target = static_cast<int>(read.whole(name, low, high).value_or(target));
  };
  whole("jobs", 1, 1024, options.slots);
  if (const auto share = read.quantity("gpu-share", "")) {
    if (!(*share > 0 && *share <= 1))
      read.refuse("--gpu-share is out of range", "allowed: above 0, at most 1");
    options.gpu_share = *share;
  }
  if (const auto bytes = read.quantity("gpu-memory", "B")) {
    if (!(*bytes >= 1 << 20))
      read.refuse("--gpu-memory is out of range", "allowed: 1MiB or more, for example 10GiB");
    options.gpu_memory = *bytes;
  }
  options.expand.max_runs = read.whole("max-runs", 1, 1 << 20).value_or(options.expand.max_runs);
  whole("max-failures", 1, 1'000'000, options.policy.max_failures);
  if (const auto retries = read.whole("retries", 0, 1000))
    options.policy.retries_killed = options.policy.retries_bug = static_cast<int>(*retries);
  if (arguments.flag("fail-fast") && arguments.text("max-failures"))
    read.refuse("--fail-fast and --max-failures say different things", "give one of them");
  if (arguments.text("gpu-share") && arguments.text("gpu-memory"))
    read.refuse("--gpu-share and --gpu-memory say different things", "give one of them");
  if (arguments.flag("fail-fast")) options.policy.max_failures = 1;
  if (const auto backoff = read.quantity("backoff", "s")) {
    if (!(*backoff >= 0 && *backoff <= 600))
      read.refuse("--backoff is out of range", "allowed: 0 to 600 seconds");
    options.policy.backoff_seconds = *backoff;
  }
  Caps& caps = options.policy.caps;
  const auto cap = [&](const std::string& name, std::string_view unit, double& target) {
    const std::optional<double> value = read.quantity(name, unit);
    if (!value) return;
    if (!(*value > 0)) read.refuse(fmt::format("--{} is out of range", name), "allowed: above 0");
    target = *value;
  };
  cap("max-flops", "flop", caps.flops);
  cap("max-hours", "", caps.hours);
  cap("max-cost", "", caps.cost);
  Result<Config> config = find_config(
      real_files(), arguments.text("config").value_or(""), arguments.positional.front());
  if (config) {
    options.slurm = config->slurm;
    caps.price = config->price;
    const std::vector<std::pair<std::string, ExecutorKind>> kinds = {
        {"local", ExecutorKind::local}, {"slurm", ExecutorKind::slurm}};
    options.executor = read.choice("executor", kinds).value_or(config->executor);
  } else {
    read.problems.push_back(std::move(config).error());
  }
  cap("price", "", caps.price);
  if (std::isfinite(caps.cost) && caps.price == 0)
    read.refuse("--max-cost needs the price of a slot for an hour",
                "--price 2.5, or `price = 2.5` in ration.toml");
  options.detach = arguments.flag("detach");
  if (options.detach && options.executor != ExecutorKind::slurm)
    read.refuse("--detach needs --executor slurm",
                "on this machine the next run is started only while a scheduler is on");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

std::string_view name(StopCause cause) {
  switch (cause) {
    case StopCause::none:
      return "nothing left to do";
    case StopCause::failures:
      return "failures";
    case StopCause::alike:
      return "failures alike";
    case StopCause::disk:
      return "disk";
    case StopCause::interrupt:
      return "interrupt";
    case StopCause::budget:
      return "budget";
  }
  return "";
}

Json summary_json(const RunSummary& summary) {
  Json rows = Json::array();
  for (const store::RunRow& row : summary.rows) rows.push_back(run_json(row));
  return {{"schema", "ration.sweep_run/1"},
          {"sweep", summary.sweep.name},
          {"version", summary.sweep.version},
          {"runs", summary.runs},
          {"states", states_json(summary.by_state)},
          {"reused", summary.reused},
          {"launched", summary.launched},
          {"adopted", summary.adopted},
          {"left_running", summary.left_running},
          {"damaged_lines", summary.damaged_lines},
          {"seconds", summary.seconds},
          {"ended_by", name(summary.cause)},
          {"exit", summary.exit_code()},
          {"rows", rows}};
}

// The worst of all.
int exit_code(const std::vector<RunSummary>& summaries) {
  int worst = 0;
  for (const RunSummary& summary : summaries) worst = std::max(worst, summary.exit_code());
  return worst;
}

void print_json(const Console& console, const std::vector<RunSummary>& summaries) {
  if (summaries.size() == 1) return console.print_json(summary_json(summaries.front()));
  Json sweeps = Json::array();
  for (const RunSummary& summary : summaries) sweeps.push_back(summary_json(summary));
  console.print_json(
      {{"schema", "ration.sweep_runs/1"}, {"sweeps", sweeps}, {"exit", exit_code(summaries)}});
}

void print_summaries(const Arguments& arguments, const std::vector<RunSummary>& summaries) {
  const Console& console = arguments.console;
  if (console.json) return print_json(console, summaries);
  if (console.quiet) {
    std::set<std::string> printed;
    for (const RunSummary& summary : summaries)
      for (const store::RunRow& row : summary.rows)
        if (printed.insert(row.run).second) console.print(row.run + "\n");
    return;
  }
  for (const RunSummary& summary : summaries) {
    console.note(fmt::format("sweep {}: {}", summary.sweep.name, summary.one_line()));
    console.print(runs_table(summary.rows, kRowsShown));
    if (const auto cancelled =
            summary.by_state[static_cast<std::size_t>(store::RunState::cancelled)];
        cancelled > 0)
      console.note(fmt::format(
          "{} cancelled: `ration retry --sweep {}` takes that back",
          counted(static_cast<std::size_t>(cancelled), "run") + (cancelled == 1 ? " is" : " are"),
          summary.sweep.name));
  }
  const RunSummary& summary = summaries.front();  // what follows is common to all
  if (summary.damaged_lines > 0)
    console.note(
        fmt::format("{} lines of event logs were damaged and left out", summary.damaged_lines));
  if (summary.left_running > 0)
    console.note(fmt::format("{} runs go on by themselves", summary.left_running));
  if (summary.detached && summary.left_running > 0)
    console.note("the same command continues, from any host that sees this folder");
  if (exit_code(summaries) == 5) console.note("interrupted; the same command continues");
}

// What a study does not go together with.
std::optional<Error> against_studies(const std::vector<Sweep>& sweeps, bool loop, bool only) {
  for (const Sweep& sweep : sweeps)
    if (sweep.study && (loop || only))
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{} does not go together with [{}] in {}",
                                       loop ? "--until" : "--only",
                                       sweep.study->kind,
                                       sweep.file),
                   .hint =
                       "a study needs all runs of its file; put the others into one of their "
                       "own"};
  return std::nullopt;
}

Result<std::vector<Sweep>> read_sweeps(const std::vector<std::string>& files) {
  std::vector<Sweep> sweeps;
  for (const std::string& file : files) {
    Result<std::string> text = real_files().read(file);
    if (!text) return std::move(text).error();
    Result<Sweep> sweep = read_sweep(*text, file);
    if (!sweep) return std::move(sweep).error();
    sweeps.push_back(std::move(*sweep));
  }
  return sweeps;
}

// What --until does not go together with.
std::optional<Error> against_loop(const SweepOptions& options, std::size_t sweeps) {
  if (sweeps > 1)
    return Error{.kind = ErrorKind::usage,
                 .what = "--until is for one sweep",
                 .hint = "give one sweep file; a [[block]] for each group of runs joins several"};
  if (options.detach)
    return Error{.kind = ErrorKind::usage,
                 .what = "--until decides while runs end: it cannot be detached",
                 .hint = "leave out --detach; Ctrl-C leaves, and the same command continues"};
  if (options.policy.caps.any())
    return Error{.kind = ErrorKind::usage,
                 .what =
                     "--max-flops, --max-hours and --max-cost are for sweeps that are carried "
                     "out whole",
                 .hint = "with --until, --spend limits the compute of the runs it chooses"};
  return std::nullopt;
}

// The worst exit code of all; a study begins when all runs are done.
Result<int> carry_out_studies(const std::vector<Sweep>& sweeps,
                              const SweepOptions& options,
                              Outside outside,
                              const Console& console) {
  int worst = 0;
  for (const Sweep& sweep : sweeps) {
    Result<int> code = run_study(sweep, options, outside, console);
    if (!code) return std::move(code).error();
    worst = std::max(worst, *code);
  }
  return worst;
}

}  // namespace

Result<int> run_sweep_files(const Arguments& arguments) {
  Result<SweepOptions> options = sweep_options(arguments);
  if (!options) return std::move(options).error();
  Result<std::vector<Sweep>> sweeps = read_sweeps(arguments.positional);
  if (!sweeps) return std::move(sweeps).error();
  Result<bool> loop = wants_loop(arguments);
  if (!loop) return std::move(loop).error();
  if (*loop)
    if (std::optional<Error> error = against_loop(*options, sweeps->size()))
      return std::move(*error);
  if (std::optional<Error> error =
          against_studies(*sweeps, *loop, arguments.text("only").has_value()))
    return std::move(*error);
  for (const Sweep& sweep : *sweeps)  // a mistake in a study costs no training
    if (Result<void> sound = check_study(sweep, *options, real_files()); !sound)
      return std::move(sound).error();
  ConsoleObserver observer(arguments.console);
  Result<Foreteller> law = laws_of(*sweeps, options->store, observer);
  if (!law) return std::move(law).error();
  options->law = std::move(*law);
  for (const Sweep& sweep : *sweeps)  // a mistake in a study costs no training
    if (Result<void> good = check_study(sweep, *options, real_files()); !good)
      return std::move(good).error();
  if (!arguments.flag("dry-run")) guard_store(arguments);
  if (*loop) return run_loop_command(arguments, sweeps->front(), *options, observer);
  std::vector<Sweep> with_runs;
  std::copy_if(sweeps->begin(), sweeps->end(), std::back_inserter(with_runs), [](const Sweep& s) {
    return s.has_runs;
  });
  if (arguments.flag("dry-run")) return dry_run(arguments, with_runs, *options);
  StopSignals signals;
  const Outside outside{real_files(), system_clock(), observer, &signals};
  const bool studies = std::any_of(
      sweeps->begin(), sweeps->end(), [](const Sweep& s) { return s.study.has_value(); });
  if (!with_runs.empty()) {
    Result<std::vector<RunSummary>> summaries = run_sweeps(with_runs, *options, outside);
    if (!summaries) return std::move(summaries).error();
    if (!studies || !arguments.console.json)  // that has the document of the study
      print_summaries(arguments, *summaries);
    const bool detached = std::any_of(
        summaries->begin(), summaries->end(), [](const RunSummary& s) { return s.detached; });
    if (const int code = exit_code(*summaries); code != 0 || detached) return code;
  }
  return carry_out_studies(*sweeps, *options, outside, arguments.console);
}

std::vector<Option> sweep_run_options() {
  return {
      store_option(),
      {.name = "jobs",
       .value = "N",
       .help =
           "Runs at once, 1 to 1024; unless given as many as have cores and GPUs, `max_jobs` of "
           "ration.toml on a cluster.",
       .letter = 'j'},
      {.name = "gpu-share",
       .value = "PART",
       .help = "Of a GPU that a run takes, above 0 to 1, so that several share one; all of it "
               "unless given."},
      {.name = "gpu-memory",
       .value = "SIZE",
       .help = "Of a GPU's memory that a run takes, such as 10GiB, so that several share one."},
      {.name = "dry-run",
       .help = "Show what would be started, what is finished, and the compute; write nothing.",
       .letter = 'n'},
      {.name = "only",
       .value = "EXPR",
       .help =
           "Start only the runs for which this is true, such as \"width >= 32 and epochs < 4\"."},
      {.name = "retry-failed", .help = "Also start runs that failed before."},
      {.name = "max-failures", .value = "K", .help = "Start nothing more after K failed runs."},
      {.name = "fail-fast", .help = "The same with K = 1."},
      {.name = "max-flops",
       .value = "FLOP",
       .help = "Start no run that would take the sweep's runs beyond this, as the trainer counts "
               "compute, all attempts and commands together. (--spend limits what --until "
               "chooses; --budget is the training that it plans.)"},
      {.name = "max-hours",
       .value = "H",
       .help = "The same for hours of slots: each process of an active run takes a slot, on a GPU "
               "or a processor."},
      {.name = "max-cost", .value = "C", .help = "The same for slot-hours times --price."},
      {.name = "price",
       .value = "P",
       .help = "Of a slot for an hour, in any currency; `price` of ration.toml unless given."},
      {.name = "keep-going",
       .help =
           "Go on even when the first three runs have unusable settings or data, or most of the "
           "last ten attempts failed.",
       .letter = 'k'},
      {.name = "retries",
       .value = "N",
       .help =
           "Retries of a run whose worker was killed or failed without a reason, 0 to 1000; 2 and "
           "1 unless given. Preempted runs are always continued."},
      {.name = "backoff",
       .value = "SECONDS",
       .default_value = "10s",
       .help = "First wait before a retry, 0 to 600 s; doubles with each, up to 10 minutes."},
      {.name = "max-runs",
       .value = "N",
       .default_value = "100000",
       .help = "Most points of a sweep; a larger one is usually a mistake."},
      {.name = "data",
       .value = "DIR",
       .help = "Prepared data to use instead of the sweep's own `data`."},
      {.name = "trainer",
       .value = "PATH",
       .help =
           "The worker's program; RATION_TRAINER_PROGRAM, or ration-train beside this program or "
           "on PATH unless given."},
      {.name = "executor",
       .value = "WHERE",
       .help = "Where runs are started, local or slurm; what ration.toml says, else local."},
      {.name = "detach",
       .help = "With slurm: submit what is missing, note what has ended, and leave."},
      {.name = "config",
       .value = "FILE",
       .help = "Settings of the cluster; ration.toml beside the sweep or in this folder unless "
               "given."},
      {.name = "take-over",
       .help = "Take the store from a host that has been silent for a minute; be sure that its "
               "scheduler is gone."}};
}

Command run_command() {
  std::vector<Option> options = sweep_run_options();
  for (Option& option : loop_options()) options.push_back(std::move(option));
  return {
      .name = "run",
      .summary = "Carry out sweeps; repeat it at any time, finished runs are kept",
      .arguments = "SWEEP.toml…",
      .min_arguments = 1,
      .max_arguments = 100,
      .options = std::move(options),
      .description =
          "  ration run sweep.toml --dry-run\n"
          "  ration run sweep.toml -j 2\n"
          "  ration run large.toml small.toml\n"
          "  ration run sweep.toml --until \"interval(epochs) < 25%\" --spend 1e14flop --budget "
          "1e15flop --unique 2Mtok\n"
          "\n"
          "Several sweeps share the room by their `weight`; a run that more than one asks for is "
          "trained once.\n"
          "Ctrl-C once: nothing more is started, active runs write a checkpoint; twice: leave at "
          "once. The same command continues, also after a crash.",
      .execute = run_sweep_files};
}

}  // namespace ration::cli
