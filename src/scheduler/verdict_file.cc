#include "scheduler/verdict_file.h"

#include "base/json.h"

namespace ration::scheduler {
namespace {

constexpr const char* kSchema = "ration.verdict/1";
constexpr const char* kFile = "verdict.json";

}  // namespace

Result<void> write_verdict(Files& files, const Path& attempt, const RecordedVerdict& verdict) {
  const Json json = {{"schema", kSchema},
                     {"token", verdict.token},
                     {"ended", verdict.ended},
                     {"state", name(verdict.update.state)},
                     {"reason", verdict.update.reason},
                     {"not_before", verdict.update.not_before}};
  return files.write_whole(attempt / kFile,
                           json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<RecordedVerdict> read_verdict(Files& files,
                                            const Path& attempt,
                                            std::string_view token) {
  const Path file = attempt / kFile;
  if (!files.exists(file)) return std::nullopt;
  const Result<Json> json = parse_json(files.read(file).value_or(""), file.string());
  if (!json || !json->is_object() || json->value("schema", Json()) != kSchema ||
      json->value("token", Json()) != token)
    return std::nullopt;
  try {
    const auto state = store::run_state(json->at("state").get<std::string>());
    if (!state) return std::nullopt;
    return RecordedVerdict{
        .token = std::string(token),
        .ended = json->at("ended"),
        .update = {
            .state = *state, .reason = json->at("reason"), .not_before = json->at("not_before")}};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace ration::scheduler
