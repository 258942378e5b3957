#include "scheduler/attempt_time.h"

#include "base/json.h"

namespace ration::scheduler {
namespace {

constexpr const char* kSchema = "ration.time/1";
constexpr const char* kFile = "time.json";

}  // namespace

Result<void> write_attempt_time(Files& files, const Path& attempt, const AttemptTime& time) {
  const Json json = {{"schema", kSchema}, {"started", time.started}, {"seconds", time.seconds}};
  return files.write_whole(attempt / kFile, json.dump() + "\n");
}

std::optional<AttemptTime> read_attempt_time(Files& files, const Path& attempt) {
  const Path file = attempt / kFile;
  if (!files.exists(file)) return std::nullopt;
  const Result<Json> json = parse_json(files.read(file).value_or(""), file.string());
  if (!json || !json->is_object() || json->value("schema", Json()) != kSchema) return std::nullopt;
  const Json started = json->value("started", Json());
  const Json seconds = json->value("seconds", Json());
  if (!started.is_number() || !seconds.is_number() || seconds < 0) return std::nullopt;
  return AttemptTime{.started = started, .seconds = seconds};
}

}  // namespace ration::scheduler
