#include "cli/run_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/loop_text.h"
#include "cli/plan_next.h"
#include "cli/plan_text.h"
#include "loop/loop.h"
#include "scheduler/room.h"

namespace ration::cli {
namespace {

using namespace loop;

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// The options of a loop: from the command line, else from the sweep's [goal].
class LoopReader {
 public:
  LoopReader(const Arguments& arguments, const scheduler::Sweep& sweep)
      : arguments_(arguments), sweep_(sweep) {}

  // `batch` is 0 where none is given.
  Result<Options> read() {
    Options options;
    options.law = text("law").value_or(options.law);
    const fit::Law* law = fit::find_law(options.law);
    if (law == nullptr && options.law != "auto")
      refuse_law(options.law);
    else if (Result<Goal> goal = parse_goal(*arguments_.text("until"), law); goal)
      options.goal = std::move(*goal);
    else
      read_.problems.push_back(std::move(goal).error());
    options.plan.budget = Flops(needed("budget", "flop", "1e15flop", "what is planned for"));
    options.plan.unique = Tokens(needed("unique", "tok", "2Mtok", "what is planned for"));
    options.delta = number("delta", "").value_or(options.delta);
    options.gamma = number("gamma", "").value_or(options.gamma);
    if (text("spend") != "inf")
      options.spend = Flops(needed("spend", "flop", "1e14flop or inf", "the most that is trained"));
    options.batch = static_cast<int>(read_.whole("batch", 1, 1024).value_or(0));
    options.seed = static_cast<std::uint64_t>(read_.whole("seed", 0, kLargestWhole).value_or(0));
    options.gain = asked_gain(read_);
    if (!read_.problems.empty())
      return combine(std::move(read_.problems), "the loop cannot be started");
    return options;
  }

 private:
  void refuse_law(const std::string& name) {
    std::vector<std::string> known = fit::law_names();
    known.insert(known.begin(), "auto");
    std::string hint = did_you_mean(name, known);
    if (hint.empty()) hint = fmt::format("one of {}", fmt::join(known, ", "));
    read_.refuse(fmt::format("no law is called \"{}\"", name), std::move(hint));
  }

  std::optional<std::string> text(const std::string& name) const {
    if (auto given = arguments_.text(name)) return given;
    const auto found = sweep_.goal.find(name);
    return found == sweep_.goal.end() ? std::nullopt : std::optional(found->second);
  }

  std::optional<double> number(const std::string& name, std::string_view unit) {
    const std::optional<std::string> given = text(name);
    if (!given) return {};
    Result<double> value = parse_quantity(*given, unit);
    if (value) return *value;
    const std::string place =
        arguments_.text(name) ? "--" + name : fmt::format("{} of [goal] in {}", name, sweep_.file);
    read_.problems.push_back(std::move(value).error().with_context(place));
    return {};
  }

  double needed(const std::string& name,
                std::string_view unit,
                std::string_view example,
                std::string_view meaning) {
    if (!text(name))
      read_.refuse(fmt::format("--{} is missing: {}", name, meaning),
                   fmt::format("for example --{} {}", name, example));
    return number(name, unit).value_or(1);  // 1: anything that check() takes
  }

  const Arguments& arguments_;
  const scheduler::Sweep& sweep_;
  OptionReader read_{arguments_};
};

class ConsoleLoop final : public LoopObserver {
 public:
  explicit ConsoleLoop(const Console& console) : console_(console) {}
  void resumes(int round, std::size_t runs) override {
    console_.note(fmt::format("round {}: {} of its runs are not finished yet", round, runs));
  }
  void decided(const Decision& decision) override {
    if (console_.json) return;
    if (console_.quiet) {
      for (const Pick& pick : decision.runs) console_.print(pick.run + "\n");
      return;
    }
    console_.print(decision_line(decision));
    std::fflush(stdout);  // a round may take hours
  }

 private:
  const Console& console_;
};

std::string ended_by(const LoopSummary& summary) {
  if (summary.cause == scheduler::StopCause::interrupt) return "interrupt";
  if (summary.cause == scheduler::StopCause::disk) return "disk";
  return summary.last ? std::string(name(summary.last->verdict)) : "";
}

Json loop_json(const LoopSummary& summary) {
  Json decisions = Json::array();
  for (const Decision& decision : summary.decisions) decisions.push_back(to_json(decision));
  return {{"schema", "ration.loop/1"},
          {"sweep", summary.sweep},
          {"ended_by", ended_by(summary)},
          {"exit", summary.exit_code()},
          {"decisions", decisions},
          {"last", summary.last ? to_json(*summary.last) : Json()},
          {"fit", summary.stored_fit ? Json(*summary.stored_fit) : Json()},
          {"plan", summary.plan ? plan::to_json(*summary.plan, *summary.fit) : Json()},
          {"seconds", summary.seconds}};
}

void print_end(const Arguments& arguments,
               const Options& options,
               const LoopSummary& summary,
               double whole) {
  const Console& console = arguments.console;
  if (!summary.last) {
    console.note(summary.cause == scheduler::StopCause::interrupt
                     ? "interrupted; the same command continues"
                     : "the disk is full; the same command continues");
    return;
  }
  const Decision& last = *summary.last;
  if (console.quiet) return;
  if (arguments.flag("dry-run")) return console.print("\n" + picks_table(last));
  std::string text = fmt::format("\n{} after {} of {} runs and {} (all together: {})\n",
                                 name(last.verdict),
                                 last.done + last.diverged,
                                 last.done + last.diverged + last.failed + last.open,
                                 format_quantity(last.spent_flops, "flop"),
                                 format_quantity(whole, "flop"));
  if (last.free_flops > 0)
    text += fmt::format("runs of {} were there without the loop, and are not counted\n",
                        format_quantity(last.free_flops, "flop"));
  if (summary.plan) text += "\n" + plan_text(*summary.plan, *summary.fit);
  text += "\n";
  if (summary.stored_fit)
    text += fmt::format(
        "ration plan --store {} --budget {:.6g}flop --unique {:.10g}tok   shows it again\n",
        *arguments.text("store"),
        options.plan.budget.value,
        options.plan.unique.value);
  if (last.verdict == Verdict::failures)
    text +=
        "the same command with --retry-failed tries them again, with --keep-going it goes on "
        "without them\n";
  console.print(text +
                fmt::format("ration explain --loop {}   lists the decisions\n", summary.sweep));
}

}  // namespace

std::vector<Option> loop_options() {
  return {
      {.name = "until",
       .value = "GOAL",
       .help = "Train in rounds, fitting in between and choosing what is trained next, until "
               "intervals are small enough: \"interval(Q) < 25%\", joined by `and`; Q is epochs, "
               "params, tokens or loss of the plan, or a parameter of the law; without % the width "
               "is in the quantity's own unit."},
      {.name = "spend",
       .value = "FLOP",
       .help = "Most compute (6 x parameters x tokens) for the runs that the loop of this sweep "
               "chooses, all commands together; inf = no limit. Needed with --until."},
      {.name = "budget",
       .value = "FLOP",
       .help = "With --until: compute of the training that is planned; by default that of the "
               "sweep's [goal]."},
      {.name = "unique",
       .value = "TOKENS",
       .help = "With --until: distinct tokens of the training that is planned; by default those of "
               "the sweep's [goal]."},
      {.name = "law",
       .value = "LAW",
       .help = "With --until: the law to fit, or auto, which weighs all of them in every round; "
               "data-constrained unless given here or in [goal]."},
      {.name = "delta",
       .value = "LN",
       .help = "With --until: knee of the Huber loss, as in `ration fit`; 0.001 unless given here "
               "or in [goal]."},
      {.name = "batch",
       .value = "K",
       .help = "With --until: runs a round, 1 to 1024; by default as many as run at once, at least "
               "4. Smaller rounds learn sooner, larger ones keep the machine busy."},
      {.name = "gain",
       .value = "NAME",
       .help = "With --until: what runs are chosen for, as in `ration plan --next`; unless given, "
               "decision "
               "where the goal names epochs, params or tokens alone, determinant where it names "
               "parameters of the law alone, else prediction."},
      {.name = "gamma",
       .value = "X",
       .help =
           "With --until: gains are divided by cost^X, 0 to 2; 0.5 unless given. 1 buys most per "
           "FLOP, in many small runs; 0 needs the fewest rounds."},
      {.name = "seed",
       .value = "N",
       .help = "With --until: seed of the resamples behind the intervals, 0 unless given."},
  };
}

Result<bool> wants_loop(const Arguments& arguments) {
  if (arguments.flag("until")) return true;
  for (const Option& option : loop_options())
    if (arguments.flag(option.name))
      return usage(fmt::format("--{} makes sense with --until alone", option.name),
                   "for example --until \"interval(epochs) < 25%\" --spend 1e14flop");
  return false;
}

Result<int> run_loop_command(const Arguments& arguments,
                             const scheduler::Sweep& sweep,
                             const scheduler::SweepOptions& options,
                             scheduler::Observer& observer) {
  Result<Options> wanted = LoopReader(arguments, sweep).read();
  if (!wanted) return std::move(wanted).error();
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, real_files(), options.expand);
  if (!expansion) return std::move(expansion).error();
  const Result<scheduler::Room> room = scheduler::room_for(*expansion, options);
  if (!room) return room.error();
  constexpr int kFewest = 4;  // fewer would refit after every single run of a small machine
  if (wanted->batch == 0) wanted->batch = std::clamp(room->at_once, kFewest, 1024);
  Result<std::vector<Run>> runs = runs_of(*expansion, {}, nullptr, {});
  if (!runs) return std::move(runs).error();
  double whole = 0;
  for (const Run& run : *runs) whole += cost(run).value;

  ConsoleLoop rounds(arguments.console);
  scheduler::StopSignals signals;
  Result<LoopSummary> summary =
      loop::run_loop(sweep,
                     {.decide = *wanted, .sweep = options, .dry_run = arguments.flag("dry-run")},
                     {real_files(), system_clock(), observer, &signals},
                     rounds);
  if (!summary) return std::move(summary).error();
  if (arguments.console.json)
    arguments.console.print_json(loop_json(*summary));
  else
    print_end(arguments, *wanted, *summary, whole);
  return summary->exit_code();
}

}  // namespace ration::cli
