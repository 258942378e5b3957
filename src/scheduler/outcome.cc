#include "scheduler/outcome.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstring>

#include "run/events.h"
#include "run/exit_codes.h"
#include "scheduler/slurm/ending.h"
#include "scheduler/supervisor.h"

namespace ration::scheduler {
namespace {

using store::AttemptState;

constexpr const char* kCancelled = "cancelled";
constexpr const char* kRetry = "retry";
constexpr const char* kStopped = "stopped";
constexpr const char* kDamaged = ".damaged";
constexpr const char* kResultSchema = "ration.result/1";
constexpr int kSignalBase = 128;  // a shell's way to say "ended by signal n"

Ending by_signal(int number) {
  if (number == SIGTERM || number == SIGUSR1)
    return {.failure = FailureClass::preempted,
            .detail = "asked to stop before it could checkpoint"};
  return {.failure = FailureClass::killed,
          .detail = fmt::format("worker killed by signal {} ({})", number, strsignal(number))};
}

Ending by_status(int status) {
  using run::WorkerExit;
  if (status > kSignalBase) return by_signal(status - kSignalBase);
  switch (static_cast<WorkerExit>(status)) {
    case WorkerExit::done:
      return {.failure = FailureClass::bug, .detail = "worker ended well but published no result"};
    case WorkerExit::usage:
      return {.failure = FailureClass::config, .detail = "worker refused its settings (exit 2)"};
    case WorkerExit::data:
      return {.failure = FailureClass::data, .detail = "worker refused the data (exit 3)"};
    case WorkerExit::diverged:
      return {.failure = FailureClass::diverged, .detail = "training diverged"};
    case WorkerExit::out_of_memory:
      return {.failure = FailureClass::out_of_memory, .detail = "out of memory"};
    case WorkerExit::fenced:
      return {.failure = FailureClass::fenced, .detail = "another attempt owns the run (exit 6)"};
    case WorkerExit::preempted:
      return {.failure = FailureClass::preempted, .detail = "stopped at a checkpoint"};
    case WorkerExit::preempted_at_once:
      return {.failure = FailureClass::preempted,
              .detail = "stopped at once, without a checkpoint"};
    case WorkerExit::other:
      break;
  }
  return {.failure = FailureClass::bug, .detail = fmt::format("worker failed (exit {})", status)};
}

// Nobody wrote how the worker ended: its supervisor was killed. The log may say.
Ending by_last_event(Files& files, const Path& log) {
  std::string reason;
  run::EventBatch batch;
  do {
    const std::uint64_t offset = batch.next_offset;
    Result<run::EventBatch> next = run::read_events(files, log, offset, batch.next_seq);
    if (!next || next->next_offset == offset) break;
    batch = std::move(*next);
    for (const run::Event& event : batch.events)
      reason =
          event.type == run::EventType::stop ? event.values.value("reason", Json("")).dump() : "";
  } while (true);
  if (reason == "\"preempted\"") return by_status(static_cast<int>(run::WorkerExit::preempted));
  if (reason == "\"diverged\"") return by_status(static_cast<int>(run::WorkerExit::diverged));
  return {.failure = FailureClass::killed, .detail = "worker and supervisor were killed"};
}

Ending ending_with_result(const Json& result) {
  if (state_of_result(result) == RunState::done) return {};
  return {.failure = FailureClass::diverged, .detail = "training diverged"};
}

// Reasons that an exit status cannot give.
std::optional<Ending> by_last_words(Files& files, const Path& log) {
  constexpr std::uint64_t kTail = 4096;
  const std::optional<FailureClass> told = class_in_words(tail_of(files, log, kTail));
  if (!told) return std::nullopt;
  switch (*told) {
    case FailureClass::disk:
      return Ending{.failure = *told, .detail = "no space left for the worker's files"};
    case FailureClass::oom_host:
      return Ending{.failure = *told, .detail = "more memory than there is"};
    default:
      return Ending{.failure = *told, .detail = "its machine or GPU failed"};
  }
}

bool unexplained(const Ending& ending) {
  return ending.failure == FailureClass::bug || ending.failure == FailureClass::killed;
}

// No line of the log is about a step.
bool failed_at_start(Files& files, const Path& log) {
  const Result<run::EventBatch> first = run::read_events(files, log, 0, 0);
  return first && std::none_of(first->events.begin(),
                               first->events.end(),
                               [](const run::Event& event) { return event.step > 0; });
}

Outcome never_started(const std::optional<slurm::QueueEnding>& queue) {
  Outcome outcome{.state = AttemptState::lost};
  outcome.ending = {.never_started = true, .detail = "was never started"};
  if (!queue) return outcome;
  outcome.ending.detail += " (" + slurm::describe(*queue) + ")";
  if (!slurm::could_not_be_launched(*queue)) return outcome;
  outcome.state = AttemptState::failed;
  outcome.failure = outcome.ending.failure = FailureClass::node_failure;
  outcome.ending.never_started = false;
  return outcome;
}

// Why this is no result of a run; empty when it is one.
std::string fault_of(const Json& json, const std::string& run) {
  if (!json.is_object() || json.value("schema", Json()) != kResultSchema)
    return fmt::format("it is no {}", kResultSchema);
  if (json.value("id", Json()) != run) return "it is of another run";
  const Json status = json.value("status", Json());
  if (status != "done" && status != "diverged") return "its status is neither done nor diverged";
  const auto usable = [&](const char* key, bool may_be_null) {
    const auto found = json.find(key);
    return found == json.end() || found->is_number() || (may_be_null && found->is_null());
  };
  for (const char* key : {"attempt", "steps", "tokens", "wall_s"})
    if (!usable(key, false)) return fmt::format("its {} is no number", key);
  for (const char* key : {"epochs", "final_loss", "best_loss", "best_step"})
    if (!usable(key, true)) return fmt::format("its {} is no number", key);
  const bool evaluated = json.value("points", Json()).is_string();  // trains nothing
  if (status == "done" && !evaluated && !json.value("final_loss", Json()).is_number())
    return "it is done without a final_loss";
  return {};
}

// Moves a file that cannot be used out of the way; says so.
std::string set_aside(Files& files, const Path& file, const std::string& why) {
  const Path aside = file.string() + kDamaged;
  const Result<void> moved = files.rename(file, aside);
  return fmt::format("{} is not used: {}{}",
                     file.string(),
                     why,
                     moved ? fmt::format("; kept as {}", aside.filename().string()) : "");
}

// The attempt by itself, whatever others did to the run.
Outcome outcome_without_result(Files& files,
                               const run::RunFolder& folder,
                               int attempt,
                               std::string_view token,
                               std::optional<int> status) {
  const Path path = folder.attempt_path(attempt);
  const std::optional<SupervisorNote> note = read_supervisor_note(files, path);
  const std::optional<slurm::QueueEnding> queue = slurm::read_queue_ending(files, path);
  const bool ours = note && note->token == token;
  if (buried(files, path) || (!ours && (note || !status))) return never_started(queue);
  Outcome outcome{.exit_code = status};
  const Path events = folder.events_path(attempt);
  outcome.ending = status ? by_status(*status) : by_last_event(files, events);
  if (unexplained(outcome.ending))
    if (std::optional<Ending> told = by_last_words(files, folder.log_path(attempt)))
      outcome.ending = std::move(*told);
  const bool progressed = left_checkpoint(files, folder, attempt);
  if (queue && !status && unexplained(outcome.ending))
    outcome.ending = slurm::ending_of(*queue, progressed);
  outcome.ending.progressed = progressed;
  if (status == static_cast<int>(run::WorkerExit::preempted) && !progressed)
    outcome.ending.detail = "left on request, before a checkpoint of its own";
  if (outcome.ending.failure == FailureClass::bug)
    outcome.ending.at_start = failed_at_start(files, events);
  if (note) outcome.ending.host = note->host;
  outcome.failure = outcome.ending.failure;
  return outcome;
}

// A mark in a run's folder: an object, which is empty where the file is damaged; null where there
// is none.
Json read_mark(Files& files, const Path& file) {
  if (!files.exists(file)) return Json();
  const Result<std::string> text = files.read(file);
  Result<Json> json = parse_json(text.value_or(""), file.string());
  return json && json->is_object() ? std::move(*json) : Json::object();
}

Json member(const Json& mark, const char* key) {
  return mark.is_object() ? mark.value(key, Json()) : Json();
}

}  // namespace

RunState state_of_result(const Json& result) {
  return result.value("status", Json()) == "diverged" ? RunState::diverged : RunState::done;
}

Published take_result(Files& files, const run::RunFolder& folder) {
  Result<std::optional<Json>> result = folder.result();
  const std::string why = !result   ? result.error().what
                          : *result ? fault_of(**result, folder.path().filename().string())
                                    : std::string();
  if (!why.empty()) return {.result = {}, .note = set_aside(files, folder.result_path(), why)};
  return {.result = std::move(*result)};
}

Outcome outcome_of(Files& files,
                   const run::RunFolder& folder,
                   int attempt,
                   std::string_view token) {
  std::vector<std::string> notes;
  std::optional<int> status;
  if (Result<std::optional<int>> told = folder.exit_status(attempt))
    status = *told;
  else
    notes.push_back(set_aside(files, folder.exit_path(attempt), told.error().what));
  Published published = take_result(files, folder);
  if (!published.note.empty()) notes.push_back(std::move(published.note));

  std::optional<Json>& result = published.result;
  Outcome outcome;
  if (result && result->value("attempt", Json()) == attempt)
    outcome = {.state = AttemptState::succeeded,
               .failure = ending_with_result(*result).failure,
               .exit_code = status};
  else
    outcome = outcome_without_result(files, folder, attempt, token, status);
  if (result) outcome.ending = ending_with_result(*result);
  outcome.result = std::move(result);
  outcome.notes = std::move(notes);
  return outcome;
}

bool left_checkpoint(Files& files, const run::RunFolder& folder, int attempt) {
  const Path path = folder.attempt_path(attempt);
  if (!files.exists(path)) return false;
  const Result<std::vector<std::string>> names = files.list(path);
  return names && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name.starts_with("checkpoint-") && !name.ends_with(".tmp");
         });
}

Result<std::optional<Path>> checkpoint_of(Files& files,
                                          const run::RunFolder& folder,
                                          std::int64_t step) {
  if (!files.exists(folder.path())) return std::optional<Path>();
  Result<std::vector<int>> attempts = folder.attempts();
  if (!attempts) return std::move(attempts).error();
  for (auto number = attempts->rbegin(); number != attempts->rend(); ++number)
    if (Path path = folder.attempt_path(*number) / fmt::format("checkpoint-{}", step);
        files.exists(path))
      return std::optional(std::move(path));
  return std::optional<Path>();
}

Result<void> mark_cancelled(Files& files, const run::RunFolder& folder, double now) {
  if (Result<void> made = files.make_folders(folder.path()); !made) return made;
  return files.write_whole(folder.path() / kCancelled, Json{{"t", now}}.dump() + "\n");
}

Result<void> mark_retry(Files& files, const run::RunFolder& folder, double now) {
  if (Result<void> made = files.make_folders(folder.path()); !made) return made;
  const Result<std::vector<int>> attempts = folder.attempts();
  const int last = attempts && !attempts->empty() ? attempts->back() : 0;
  Json mark = {{"t", now}, {"after_attempt", last}};
  if (!stop_reason(files, folder).empty() || spared(files, folder)) mark["spared"] = true;
  if (Result<void> done = files.write_whole(folder.path() / kRetry, mark.dump() + "\n"); !done)
    return done;
  if (Result<void> done = files.remove_all(folder.path() / kStopped); !done) return done;
  return files.remove_all(folder.path() / kCancelled);
}

bool marked_cancelled(Files& files, const run::RunFolder& folder) {
  return files.exists(folder.path() / kCancelled);
}

Result<void> mark_stopped(Files& files,
                          const run::RunFolder& folder,
                          double now,
                          const std::string& reason) {
  return files.write_whole(folder.path() / kStopped,
                           Json{{"t", now}, {"reason", reason}}.dump() + "\n");
}

std::string stop_reason(Files& files, const run::RunFolder& folder) {
  const Json mark = read_mark(files, folder.path() / kStopped);
  if (mark.is_null()) return "";
  const Json reason = member(mark, "reason");
  return reason.is_string() && !reason.get<std::string>().empty() ? reason.get<std::string>()
                                                                  : "stopped early";
}

bool spared(Files& files, const run::RunFolder& folder) {
  return member(read_mark(files, folder.path() / kRetry), "spared") == true;
}

int forgiven_attempts(Files& files, const run::RunFolder& folder) {
  const Json last = member(read_mark(files, folder.path() / kRetry), "after_attempt");
  return last.is_number_integer() ? last.get<int>() : 0;
}

}  // namespace ration::scheduler
