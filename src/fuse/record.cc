// The manifest of a round as JSON, ration.fuse_round/1, and back.

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "fuse/folder.h"
#include "fuse/words.h"

namespace ration::fuse {
namespace {

constexpr const char* kSchema = "ration.fuse_round/1";
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
double number_of(const Json& json) { return json.is_null() ? kUnknown : json.get<double>(); }

}  // namespace

Contribution unmeasured() {
  Contribution contribution;
  contribution.loss = contribution.norm = contribution.cosine = contribution.probe = kUnknown;
  return contribution;
}

Json to_json(const Contribution& contribution) {
  return {{"contributor", contribution.contributor},
          {"trained_from", contribution.trained_from},
          {"sha256", contribution.sha256},
          {"file", contribution.file.string()},
          {"run", contribution.run},
          {"tokens", contribution.tokens},
          {"loss_nats", number(contribution.loss)},
          {"staleness", contribution.staleness},
          {"weight", contribution.weight},
          {"norm", number(contribution.norm)},
          {"cosine", number(contribution.cosine)},
          {"scale", contribution.scale},
          {"probe_nats", number(contribution.probe)},
          {"verdict", word(contribution.verdict)},
          {"reason", contribution.reason},
          {"sequence", contribution.sequence},
          {"made", contribution.made}};
}

Contribution contribution_of(const Json& json) {
  return {.contributor = json.at("contributor"),
          .trained_from = json.at("trained_from"),
          .sha256 = json.at("sha256"),
          .file = json.at("file").get<std::string>(),
          .run = json.at("run"),
          .tokens = json.at("tokens"),
          .loss = number_of(json.at("loss_nats")),
          .staleness = json.at("staleness"),
          .weight = json.at("weight"),
          .norm = number_of(json.at("norm")),
          .cosine = number_of(json.at("cosine")),
          .scale = json.at("scale"),
          .probe = number_of(json.at("probe_nats")),
          .verdict = word_of<Verdict>(json.at("verdict").get<std::string>()).value(),
          .reason = json.at("reason"),
          .sequence = json.at("sequence"),
          .made = json.at("made")};
}

Json to_json(const RoundRecord& record) {
  Json contributions = Json::array();
  for (const Contribution& each : record.contributions) contributions.push_back(to_json(each));
  return {{"schema", kSchema},
          {"round", record.round},
          {"base", record.base},
          {"next", record.next},
          {"status", word(record.status)},
          {"eta", record.eta},
          {"velocity", record.velocity},
          {"contributions", std::move(contributions)},
          {"probe_before_nats", number(record.probe_before)},
          {"probe_after_nats", number(record.probe_after)},
          {"warnings", record.warnings}};
}

Result<RoundRecord> round_from_json(const Json& json,
                                    const Path& folder,
                                    const std::string& where) {
  const auto damaged = [&](const std::string& why) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is no manifest of a round: {}", where, why),
                 .hint = "restore it from a copy, or begin the fusion anew under another name"};
  };
  try {
    if (json.at("schema") != kSchema) return damaged("its schema is another one");
    RoundRecord record{.round = json.at("round"),
                       .base = json.at("base"),
                       .base_file = base_file(folder, json.at("base")),
                       .next = json.at("next"),
                       .next_file = base_file(folder, json.at("next")),
                       .status = word_of<RoundStatus>(json.at("status").get<std::string>()).value(),
                       .eta = json.at("eta"),
                       .velocity = json.at("velocity"),
                       .contributions = {},
                       .probe_before = number_of(json.at("probe_before_nats")),
                       .probe_after = number_of(json.at("probe_after_nats")),
                       .warnings = json.at("warnings")};
    for (const Json& each : json.at("contributions")) {
      record.contributions.push_back(contribution_of(each));
      Path& file = record.contributions.back().file;
      if (!file.empty()) file = (folder / file).lexically_normal();
    }
    return record;
  } catch (const std::exception& error) {  // of Json, and an unknown word
    return damaged(error.what());
  }
}

std::int64_t RoundRecord::tokens() const {
  std::int64_t sum = 0;
  for (const Contribution& each : contributions)
    if (each.sequence > 0) sum += each.tokens;
  return sum;
}

}  // namespace ration::fuse
