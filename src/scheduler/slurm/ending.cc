#include "scheduler/slurm/ending.h"

#include <fmt/format.h>

#include "base/json.h"

namespace ration::scheduler::slurm {
namespace {

constexpr const char* kFile = "slurm.json";
constexpr const char* kSchema = "ration.slurm_ending/1";

}  // namespace

Result<void> write_queue_ending(Files& files, const Path& attempt, const QueueEnding& ending) {
  const Json json = {{"schema", kSchema},
                     {"state", ending.state},
                     {"reason", ending.reason},
                     {"said", ending.said}};
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
    return QueueEnding{
        .state = json->at("state"), .reason = json->at("reason"), .said = json->at("said")};
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
  const std::string& state = ending.state;
  // Without cgroups a step that went out of memory is FAILED; slurmstepd alone says why.
  if (state == "OUT_OF_MEMORY" || ending.said.find("emory limit") != std::string::npos)
    return {.failure = FailureClass::out_of_memory,
            .detail = "more memory than the job may have (" + describe(ending) + ")"};
  if (state == "PREEMPTED" || ending.said.find("DUE TO PREEMPTION") != std::string::npos)
    return {.failure = FailureClass::preempted,
            .detail = "preempted by the cluster (" + describe(ending) + ")"};
  // A time limit, or a node that died, is nothing against a run that gets on; one that does not
  // would come back forever.
  const bool limit = state == "TIMEOUT" || state == "DEADLINE";
  const bool node = state == "NODE_FAIL" || state == "BOOT_FAIL";
  return {.failure = (limit || node) && progressed ? FailureClass::preempted : FailureClass::killed,
          .detail = fmt::format("{} ({})",
                                limit  ? "the job's time was over"
                                : node ? "its node failed"
                                       : "its job is gone",
                                describe(ending))};
}

}  // namespace ration::scheduler::slurm
