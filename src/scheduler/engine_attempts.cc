// How the engine begins and ends attempts.

#include <fmt/format.h>

#include <algorithm>

#include "base/fault.h"
#include "base/json.h"
#include "base/tokens.h"
#include "run/settings_file.h"
#include "scheduler/attempt_time.h"
#include "scheduler/engine.h"
#include "scheduler/verdict_file.h"

namespace ration::scheduler {
namespace {

// Half the micro batch as often as the run went out of memory.
run::Execution halved(run::Execution execution, const run::RunSpec& spec, int times) {
  for (int i = 0; i < times; ++i) {
    const std::int64_t now = execution.micro_batch_sequences;
    execution.micro_batch_sequences =
        std::max<std::int64_t>(1, (now == 0 ? spec.batch_sequences : now) / 2);
  }
  return execution;
}

Result<run::Execution> execution_of(const store::SettingsText& settings) {
  const std::string place = fmt::format("settings of run {} in the database", settings.id);
  const Result<Json> json = parse_json(settings.execution, place);
  if (!json) return json.error();
  return run::execution_from_json(*json, place);
}

// An end whose consequences the next `ration run` draws: until then the run counts as active.
store::RunUpdate unjudged(const Ending& ending) {
  return {.state = RunState::active,
          .reason = fmt::format("ended: {}; the next `ration run` goes on from there",
                                ending.detail.empty() ? "its attempt never began" : ending.detail)};
}

}  // namespace

// The next attempt has a number that neither the database nor the folder knows.
Result<int> Engine::next_number(std::size_t node) {
  const run::RunFolder folder = folder_of(node);
  int last = tracked_[node].attempts;
  if (files_.exists(folder.path())) {
    Result<std::vector<int>> taken = folder.attempts();
    if (!taken) return std::move(taken).error();
    if (!taken->empty()) last = std::max(last, taken->back());
  }
  return last + 1;
}

// Nothing when it cannot be started here; the machine was told why.
Result<std::optional<Launch>> Engine::launch_of(std::size_t node,
                                                const store::SettingsText& settings,
                                                const run::Execution& execution) {
  const RunNode& run = state_.nodes[node];
  Launch launch{.run_folder = folder_of(node).path(),
                .memory_factor = memory_factor(run),
                .avoid = run.avoid,
                .gpus = run.gpus};
  launch.threads = execution.threads;
  launch.settings = run::run_json_text(settings.id, settings.spec, settings.execution);
  if (const int times = halvings(run); times > 0) {
    Result<run::RunFile> file = writer_.spec(tracked_[node].run);
    if (!file) return std::move(file).error();
    launch.settings = run::run_json(file->spec, halved(execution, file->spec, times));
  }

  const auto failed = [&](const Error& error) {
    queue_.push_back({.kind = EventKind::ended,
                      .node = node,
                      .ending = {.failure = error.kind == ErrorKind::resource ? FailureClass::disk
                                                                              : FailureClass::bug,
                                 .detail = error.what}});
    observer_.note(error.what);
    return std::optional<Launch>();
  };
  if (!executor_.remote()) {
    Files& files = options_.settings_files == nullptr ? files_ : *options_.settings_files;
    const Result<void> done = run::create_run_folder(files, launch.run_folder, launch.settings);
    if (!done) return failed(done.error());
    launch.settings.clear();
  }
  const Result<int> number = next_number(node);
  if (!number) return failed(number.error());
  launch.number = *number;
  return std::optional(std::move(launch));
}

// All that starts now is recorded at once, before any of it is started.
Result<void> Engine::launch(const std::vector<std::size_t>& nodes) {
  if (nodes.empty()) return {};
  std::vector<std::int64_t> runs;
  for (const std::size_t node : nodes) runs.push_back(tracked_[node].run);
  Result<std::vector<store::SettingsText>> settings = writer_.settings(runs);
  if (!settings) return std::move(settings).error();
  std::vector<std::string> tokens = random_tokens(nodes.size());
  std::vector<Launch> launches;
  std::vector<Live> lives;
  std::vector<store::NewAttempt> rows;
  Result<run::Execution> execution = run::Execution();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // Mostly that of the run before.
    if (i == 0 || (*settings)[i].execution != (*settings)[i - 1].execution)
      execution = execution_of((*settings)[i]);
    if (!execution) return std::move(execution).error();
    Result<std::optional<Launch>> launch = launch_of(nodes[i], (*settings)[i], *execution);
    if (!launch) return std::move(launch).error();
    if (!*launch) continue;
    (*launch)->token = tokens[i];
    rows.push_back({.run = runs[i], .number = (*launch)->number, .token = tokens[i]});
    lives.push_back({.node = nodes[i], .number = (*launch)->number, .token = tokens[i]});
    launches.push_back(std::move(**launch));
  }
  if (rows.empty()) return {};

  fault_point("attempt-before-commit");
  // What ends with this machine need not be remembered after it.
  Result<std::vector<std::int64_t>> ids = writer_.begin_attempts(rows, executor_.remote());
  if (!ids) return std::move(ids).error();
  unsynced_ = unsynced_ || !executor_.remote();
  fault_point("attempt-after-commit");

  std::vector<store::PlacedAttempt> placed;
  std::vector<std::pair<std::int64_t, std::string>> not_startable;  // and why
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const std::int64_t attempt = launches[i].attempt = lives[i].attempt = (*ids)[i];
    tracked_[lives[i].node].attempts = lives[i].number;
    live_[attempt] = std::move(lives[i]);
    Result<Placement> placement = executor_.start(launches[i]);
    fault_point("spawn-before-commit");
    if (!placement) {
      observer_.note(placement.error().what);
      not_startable.emplace_back(attempt, placement.error().what);
      continue;
    }
    ++end_.launched;
    placed.push_back({.attempt = attempt,
                      .host = std::move(placement->host),
                      .process = std::move(placement->process)});
  }
  if (Result<void> done = writer_.place_attempts(placed); !done) return done;
  fault_point("spawn-after-commit");
  for (const auto& [attempt, why] : not_startable)
    if (Result<void> done = conclude(attempt, why); !done) return done;
  return {};
}

// Where this fails a rebuild judges by the usual policy.
void Engine::keep_verdict(const Live& live, const store::RunUpdate& update) {
  const Path attempt = folder_of(live.node).attempt_path(live.number);
  if (!files_.exists(attempt)) return;
  const bool unsynced = !executor_.remote() && options_.settings_files != nullptr;
  const Result<void> ignored =
      write_verdict(unsynced ? *options_.settings_files : files_,
                    attempt,
                    {.token = live.token, .ended = clock_.unix_seconds(), .update = update});
  (void)ignored;
}

// An attempt is over: take the rest of its log, say what became of it, and let the machine decide.
Result<void> Engine::conclude(std::int64_t attempt, const std::string& not_startable) {
  const auto found = live_.find(attempt);
  if (found == live_.end()) return {};
  const Live live = found->second;
  live_.erase(found);
  const run::RunFolder folder = folder_of(live.node);
  for (bool more = files_.exists(folder.events_path(live.number)); more;) {
    Result<store::IngestSummary> taken = writer_.ingest({&attempt, 1});
    if (!taken) return std::move(taken).error();
    end_.damaged_lines += taken->damaged;
    more = taken->more;
  }
  Outcome outcome = outcome_of(files_, folder, live.number, live.token);
  for (const std::string& note : outcome.notes) observer_.note(note);
  if (!not_startable.empty())
    outcome.ending = {.failure = FailureClass::bug, .detail = not_startable};
  Result<store::Usage> used = writer_.usage_of_attempt(attempt);
  if (!used) return std::move(used).error();
  double ended = clock_.unix_seconds();
  double lasted = -1;  // seconds; negative = not known
  if (!outcome.ending.never_started)
    if (const auto time = read_attempt_time(files_, folder.attempt_path(live.number))) {
      ended = time->ended();
      lasted = time->seconds;
    }
  // The store does not know the attempt's end yet, and so takes the log's times for what they are.
  if (lasted >= 0 && state_.policy.caps.any()) {
    Result<run::RunFile> file = writer_.spec(tracked_[live.node].run);
    if (!file) return std::move(file).error();
    const double most = lasted * static_cast<double>(file->execution.processes);
    used->seconds = used->seconds > 0 ? std::min(used->seconds, most) : most;
  }
  outcome.ending.used = *used;
  Step step = transition(std::move(state_),
                         {.kind = EventKind::ended, .node = live.node, .ending = outcome.ending},
                         clock_.monotonic_seconds());
  state_ = std::move(step.state);
  fault_point("end-before-commit");
  bool recorded = false;
  std::vector<std::size_t> to_start;
  for (const Action& action : step.actions) {
    if (action.kind == ActionKind::launch) {
      to_start.push_back(action.node);
      continue;
    }
    const bool own = !recorded && action.kind == ActionKind::record && action.node == live.node;
    const bool open = own && !options_.judges &&
                      (!store::settled(action.state) || action.state == RunState::failed ||
                       action.state == RunState::invalid);
    if (own && !open && !outcome.result) keep_verdict(live, update_of(action));
    Result<void> done =
        own ? writer_.end_attempt(attempt,
                                  {.state = outcome.state,
                                   .failure = outcome.failure,
                                   .exit_code = outcome.exit_code,
                                   .ended = ended},
                                  open ? unjudged(outcome.ending) : update_of(action),
                                  outcome.result,
                                  executor_.remote())
            : perform(action);
    if (!done) return done;
    recorded = recorded || own;
    unsynced_ = unsynced_ || (own && !executor_.remote());
    if (own && !open && (action.state == RunState::failed || action.state == RunState::invalid))
      observer_.note(fmt::format("run {} failed: {} (`ration explain {}`)",
                                 tracked_[live.node].id.substr(0, 12),
                                 action.text,
                                 tracked_[live.node].id.substr(0, 12)));
    if (own) fault_point("end-after-commit");
  }
  if (Result<void> done = launch(to_start); !done) return done;
  if (Result<void> done = look_at_evaluations(live.node); !done) return done;
  next_checkpoints_ = 0;  // it may have left one that another run waits for, or given it up
  return feed({.kind = EventKind::tick});
}

}  // namespace ration::scheduler
