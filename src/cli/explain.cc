#include <fmt/format.h>

#include <ctime>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/explain_loop.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "run/weights.h"
#include "scheduler/local_executor.h"
#include "scheduler/outcome.h"
#include "scheduler/supervisor.h"

namespace ration::cli {
namespace {

using store::AttemptRow;
using store::RunState;

constexpr std::size_t kLogLines = 20;

struct Explanation {
  store::RunRow row;
  std::string why;
  std::vector<std::string> sweeps;
  std::vector<AttemptRow> attempts;
  std::vector<store::EventRow> events;
  std::vector<std::string> last_words;
  std::string command;    // that starts the worker of its newest attempt; empty before
  std::string reproduce;  // shell commands
  std::optional<ChosenBy> chosen;
  std::string begins_with;  // weights of another run or of a file, in words; empty where drawn
  std::string points_file;  // the list that it evaluates; empty for other runs
};

std::string clock_text(double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return text.data();
}

// `held`: a scheduler has the store. `trunk`: the run that it begins with; else empty.
std::string why(const store::RunRow& row, double now, bool held, const std::string& trunk) {
  switch (row.state) {
    case RunState::done:
      if (row.tokens == 0) return "evaluated its list of points, and trained nothing";
      return fmt::format("finished with a held-out loss of {:.4f} nats", row.final_loss);
    case RunState::diverged:
      return "training diverged; that is its result. Lower lr or raise warmup_fraction to try "
             "another run";
    case RunState::active:
      return fmt::format("runs since {}: {} of {}{}",
                         clock_text(row.started),
                         format_quantity(row.tokens_seen, "tok"),
                         format_quantity(row.tokens, "tok"),
                         held ? ""
                              : "; no `ration run` is on: the next one of its sweep sees what "
                                "became of it");
    case RunState::failed:
      return row.reason + "; its retries are used up (`ration retry` allows new ones)";
    case RunState::invalid:
      return row.reason + "; the log below names the setting or file";
    case RunState::cancelled:
      return "was cancelled; `ration retry` takes that back";
    case RunState::stopped:
      return row.reason + "; its checkpoint is there, `ration retry` lets it go on";
    case RunState::skipped:
      return row.reason + "; it never started. " +
             (trunk.empty() ? "A retry of that run"
                            : fmt::format("`ration retry {}`", short_id(trunk))) +
             " lets it wait again";
    case RunState::ready:
      break;
  }
  if (row.not_before > now)
    return fmt::format(
        "{}; may start again in {}", row.reason, format_duration(row.not_before - now));
  if (row.reason.starts_with("waits for ")) return row.reason;
  const std::string waits = held ? "waits for a free slot of `ration run`"
                                 : "no `ration run` is on; one of its sweep starts it";
  return row.reason.empty() ? waits : row.reason + "; " + waits;
}

std::string shell_quote(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_./:=@+-") == std::string::npos;
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The program that trained a run's newest attempt; where none has begun, the one that would.
std::string trainer_of(const run::RunFolder& folder, const std::vector<AttemptRow>& attempts) {
  if (!attempts.empty()) {
    const auto note =
        scheduler::read_supervisor_note(real_files(), folder.attempt_path(attempts.back().number));
    if (note && !note->trainer.empty()) return shell_quote(note->trainer);
  }
  const Result<Path> found = scheduler::find_trainer("");
  return found ? shell_quote(found->string()) : "ration-train";
}

std::string started_with(const store::Reader& store,
                         const store::RunRow& row,
                         const AttemptRow& attempt,
                         const std::string& trainer,
                         std::int64_t threads) {
  return fmt::format(
      "GOMP_SPINCOUNT=0 OMP_NUM_THREADS={0} MKL_NUM_THREADS={0} {1} {2} --attempt {3} "
      "--token {4}",
      threads,
      trainer,
      shell_quote(store.layout().run(row.run).string()),
      attempt.number,
      attempt.token);
}

// In a folder of its own, so that the store stays as it is.
std::string reproduce(const store::Reader& store,
                      const store::RunRow& row,
                      const std::string& trainer,
                      std::int64_t threads) {
  const std::string copy = "reproduce/" + row.run;
  return fmt::format(
      "mkdir -p {0} && cp {1} {0}/\n"
      "GOMP_SPINCOUNT=0 OMP_NUM_THREADS={2} MKL_NUM_THREADS={2} {3} {0}",
      copy,
      shell_quote(run::RunFolder(real_files(), store.layout().run(row.run)).spec_path().string()),
      threads,
      trainer);
}

// The run that a run begins with; empty when there is none.
std::string parent_of(const run::RunSpec& spec) {
  if (!spec.branch_from.empty()) return spec.branch_from;
  const Result<run::Weights> init = run::parse_weights(spec.init);
  return init ? init->run : std::string();
}

std::string beginning_of(const run::RunFile& file, const store::Reader& store) {
  const run::RunSpec& spec = file.spec;
  const std::string parent = parent_of(spec);
  if (parent.empty())
    return spec.init.empty()
               ? std::string()
               : fmt::format("the weights of {} ({})", file.execution.init_file, spec.init);
  const Result<store::RunRow> row = store.find_run(parent);
  const std::string_view state = row ? store::name(row->state) : "not in this store";
  if (!spec.branch_from.empty())
    return fmt::format("step {} of its trunk {}, which is {}", spec.branch_step, parent, state);
  const run::Weights init = run::parse_weights(spec.init).value();
  const std::string at = init.step > 0 ? fmt::format(" at step {}", init.step) : std::string();
  return fmt::format("the weights of run {}{}, which is {}", parent, at, state);
}

Result<Explanation> explain(const store::Reader& store, const std::string& prefix) {
  Result<store::RunRow> row = store.find_run(prefix);
  if (!row) return std::move(row).error();
  Explanation e{.row = std::move(*row)};
  Result<run::RunFile> file = store.spec(e.row.id);
  if (!file) return std::move(file).error();
  Result<std::vector<AttemptRow>> attempts = store.attempts(e.row.id);
  if (!attempts) return std::move(attempts).error();
  e.attempts = std::move(*attempts);
  Result<std::vector<store::EventRow>> events = store.events(e.row.id, 20);
  if (!events) return std::move(events).error();
  e.events = std::move(*events);
  Result<std::vector<std::string>> sweeps = store.sweeps_of(e.row.id);
  if (!sweeps) return std::move(sweeps).error();
  e.sweeps = std::move(*sweeps);
  const double now = system_clock().unix_seconds();
  const Result<std::optional<std::string>> holder = store.holder(now);
  if (!holder) return holder.error();
  e.why = why(e.row, now, holder->has_value(), parent_of(file->spec));
  const run::RunFolder folder(real_files(), store.layout().run(e.row.run));
  if (!e.attempts.empty())
    e.last_words =
        scheduler::last_words(real_files(), folder.log_path(e.attempts.back().number), kLogLines);
  Result<std::optional<ChosenBy>> chosen = chosen_by(store, e.row.run);
  if (!chosen) return std::move(chosen).error();
  e.chosen = std::move(*chosen);
  e.begins_with = beginning_of(*file, store);
  if (!file->spec.points.empty()) e.points_file = file->execution.points_file;
  const std::string trainer = trainer_of(folder, e.attempts);
  if (!e.attempts.empty())
    e.command = started_with(store, e.row, e.attempts.back(), trainer, file->execution.threads);
  e.reproduce = reproduce(store, e.row, trainer, file->execution.threads);
  return e;
}

Json to_json(const Explanation& e) {
  Json attempts = Json::array();
  for (const AttemptRow& a : e.attempts)
    attempts.push_back({{"attempt", a.number},
                        {"state", name(a.state)},
                        {"class", name(a.failure)},
                        {"exit", a.exit_code ? Json(*a.exit_code) : Json()},
                        {"host", a.host},
                        {"pid", a.pid},
                        {"submitted", a.submitted},
                        {"ended", a.ended > 0 ? Json(a.ended) : Json()},
                        {"from_step", a.from_step ? Json(*a.from_step) : Json()},
                        {"last_step", a.last_step},
                        {"damaged_lines", a.damaged}});
  Json events = Json::array();
  for (const store::EventRow& event : e.events)
    events.push_back({{"t", event.t},
                      {"attempt", event.attempt},
                      {"what", event.what},
                      {"detail", event.detail}});
  return {{"schema", "ration.explain/1"},
          {"run", run_json(e.row)},
          {"why", e.why},
          {"sweeps", e.sweeps},
          {"begins_with", e.begins_with.empty() ? Json() : Json(e.begins_with)},
          {"points", e.points_file.empty() ? Json() : Json(e.points_file)},
          {"loop", e.chosen ? to_json(*e.chosen) : Json()},
          {"attempts", attempts},
          {"events", events},
          {"log", e.last_words},
          {"command", e.command.empty() ? Json() : Json(e.command)},
          {"reproduce", e.reproduce}};
}

std::string to_text(const Explanation& e) {
  std::string text = fmt::format("run {}: {}\n{}\n", e.row.run, name(e.row.state), e.why);
  text += fmt::format("asked for by: {}\n",
                      e.sweeps.empty() ? "no sweep" : fmt::format("{}", fmt::join(e.sweeps, ", ")));
  if (!e.begins_with.empty()) text += fmt::format("it begins with {}\n", e.begins_with);
  if (!e.points_file.empty()) text += fmt::format("it evaluates the points of {}\n", e.points_file);
  if (e.chosen) text += to_text(*e.chosen);
  if (!e.attempts.empty()) {
    std::vector<std::vector<std::string>> cells = {
        {"attempt", "state", "class", "exit", "started", "lasted", "from step", "last step"}};
    for (const AttemptRow& a : e.attempts)
      cells.push_back({std::to_string(a.number),
                       std::string(name(a.state)),
                       std::string(name(a.failure)),
                       a.exit_code ? std::to_string(*a.exit_code) : "-",
                       clock_text(a.submitted),
                       a.ended > 0 ? format_duration(a.ended - a.submitted) : "-",
                       a.from_step && *a.from_step >= 0 ? std::to_string(*a.from_step) : "-",
                       std::to_string(a.last_step)});
    text += "\n" + table(cells);
  }
  if (!e.events.empty()) {
    text += "\n";
    for (const store::EventRow& event : e.events)
      text += fmt::format("{}  attempt {}: {}{}\n",
                          clock_text(event.t),
                          event.attempt,
                          event.what,
                          event.detail == event.what ? "" : ": " + event.detail);
  }
  if (!e.last_words.empty()) {
    text += fmt::format("\nend of the log of attempt {}:\n", e.attempts.back().number);
    for (const std::string& line : e.last_words) text += "  " + line + "\n";
  }
  if (!e.command.empty())
    text += fmt::format(
        "\nthe worker of attempt {} is started as:\n  {}\n", e.attempts.back().number, e.command);
  return text + "\nto reproduce it apart from the store:\n  " + e.reproduce + "\n";
}

Result<int> run_explain(const Arguments& arguments) {
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  if (arguments.flag("loop")) return explain_loop(arguments, *store);
  Result<Explanation> explanation = explain(*store, arguments.positional.front());
  if (!explanation) return std::move(explanation).error();
  if (arguments.console.json)
    arguments.console.print_json(to_json(*explanation));
  else
    arguments.console.print(without_control_bytes(to_text(*explanation)));
  return 0;
}

}  // namespace

Command explain_command() {
  return {.name = "explain",
          .summary = "Say why a run waits, failed, was tried again, or was chosen by a loop",
          .arguments = "RUN | SWEEP",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "loop",
                       .help = "Name a sweep instead: every decision of its loop (`ration run "
                               "--until`), with what was known, what it started and why."}},
          .description = "  ration explain 3f2a\n  ration explain --loop first",
          .execute = run_explain};
}

}  // namespace ration::cli
