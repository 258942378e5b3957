#include "scheduler/slurm/ending.h"

#include <fmt/format.h>

#include "base/json.h"
#include "scheduler/last_words.h"

namespace ration::scheduler::slurm {
namespace {

constexpr const char* kFile = "slurm.json";
constexpr const char* kSchema = "ration.slurm_ending/1";
// SLURM ends jobs up to half a minute late, never early, and looks at most twice a minute.
constexpr double kNearLimit = 60;  // seconds

bool contains(const std::string& text, std::string_view word) {
  return text.find(word) != std::string::npos;
}

bool out_of_time(const QueueEnding& ending) {
  if (ending.state != "TIMEOUT" && ending.state != "DEADLINE") return false;
  const bool early = ending.limit_seconds > 0 && ending.elapsed_seconds > 0 &&
                     ending.elapsed_seconds < ending.limit_seconds - kNearLimit;
  return !early;
}

}  // namespace

Result<void> write_queue_ending(Files& files, const Path& attempt, const QueueEnding& ending) {
  const Json json = {{"schema", kSchema},
                     {"state", ending.state},
                     {"reason", ending.reason},
                     {"said", ending.said},
                     {"elapsed_s", ending.elapsed_seconds},
                     {"limit_s", ending.limit_seconds}};
  return files.write_whole(attempt / kFile,
                           json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n");
}

std::optional<QueueEnding> read_queue_ending(Files& files, const Path& attempt) {
  if (!files.exists(attempt / kFile)) return std::nullopt;
  const Result<std::string> text = files.read(attempt / kFile);
  if (!text) return std::nullopt;
  const Result<Json> json = parse_json(*text, (attempt / kFile).string());
  if (!json || !json->is_object() || json->value("schema", Json()) != kSchema) return std::nullopt;
  try {
    return QueueEnding{.state = json->at("state"),
                       .reason = json->at("reason"),
                       .said = json->at("said"),
                       .elapsed_seconds = json->value("elapsed_s", 0.0),
                       .limit_seconds = json->value("limit_s", 0.0)};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::string describe(const QueueEnding& ending) {
  std::string text = "SLURM: " + ending.state;
  if (!ending.reason.empty() && ending.reason != "None") text += ", " + ending.reason;
  if (!ending.said.empty()) text += "; it said: " + ending.said;
  return text;
}

Ending ending_of(const QueueEnding& ending, bool progressed) {
  const auto because = [&](FailureClass failure, std::string_view what) {
    return Ending{.failure = failure,
                  .progressed = progressed,
                  .detail = fmt::format("{} ({})", what, describe(ending))};
  };
  const std::string& state = ending.state;
  // Without cgroups a step that went out of memory is FAILED; slurmstepd alone says why.
  if (state == "OUT_OF_MEMORY" || speaks_of_memory(ending.said))
    return because(FailureClass::oom_host, "more memory than the job may have");
  // A worker that leaves in the grace of a preemption is called TIMEOUT, too.
  const bool limit = state == "TIMEOUT" || state == "DEADLINE";
  if (state == "PREEMPTED" || contains(ending.said, "DUE TO PREEMPTION") ||
      (limit && !out_of_time(ending)))
    return because(FailureClass::preempted, "preempted by the cluster");
  if (limit) return because(FailureClass::timeout, "the job's time was over");
  if (state == "NODE_FAIL" || state == "BOOT_FAIL")
    return because(FailureClass::node_failure, "its node failed");
  return because(FailureClass::killed, "its job is gone");
}

bool could_not_be_launched(const QueueEnding& ending) {
  return ending.state == "NODE_FAIL" || ending.state == "BOOT_FAIL" ||
         contains(ending.reason, "JobLaunchFailure") || contains(ending.reason, "launch failed") ||
         contains(ending.reason, "RaisedSignal:53");
}

}  // namespace ration::scheduler::slurm
