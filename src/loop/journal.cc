#include "loop/journal.h"

#include <fmt/format.h>

#include <array>

#include "base/crc_line.h"
#include "base/fault.h"

namespace ration::loop {
namespace {

constexpr std::string_view kEnding = ".jsonl";

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::optional<double> optional_number(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional<double>(value.get<double>());
}

Json to_json(const Measured& measured) {
  return {{"quantity", measured.quantity},
          {"value", optional_json(measured.value)},
          {"low", optional_json(measured.low)},
          {"high", optional_json(measured.high)},
          {"width", optional_json(measured.width)},
          {"limit", measured.limit},
          {"relative", measured.relative},
          {"reached", measured.reached}};
}

Measured measured_from(const Json& json) {
  return {.quantity = json.at("quantity"),
          .value = optional_number(json.at("value")),
          .low = optional_number(json.at("low")),
          .high = optional_number(json.at("high")),
          .width = optional_number(json.at("width")),
          .limit = json.at("limit"),
          .relative = json.at("relative"),
          .reached = json.at("reached")};
}

Json to_json(const Pick& pick) {
  return {{"run", pick.run},
          {"params", pick.params},
          {"tokens", pick.tokens},
          {"unique_tokens", pick.unique_tokens},
          {"flops", pick.flops},
          {"gain", pick.gain},
          {"disagreement", pick.disagreement}};
}

Pick pick_from(const Json& json) {
  return {.run = json.at("run"),
          .params = json.at("params"),
          .tokens = json.at("tokens"),
          .unique_tokens = json.at("unique_tokens"),
          .flops = json.at("flops"),
          .gain = json.at("gain"),
          .disagreement = json.at("disagreement")};
}

std::optional<Verdict> verdict_of(const std::string& word) {
  for (const Verdict verdict :
       {Verdict::start, Verdict::reached, Verdict::spent, Verdict::used_up, Verdict::failures})
    if (name(verdict) == word) return verdict;
  return std::nullopt;
}

Error damaged(std::string what) {
  return {.kind = ErrorKind::input,
          .what = std::move(what),
          .hint = "move the file away to begin the loop anew; finished runs are kept, and free"};
}

Result<std::string> encode(const Decision& decision) {
  Result<std::string> text = canonical_json(to_json(decision));
  if (!text) return text;
  return with_crc(*text) + "\n";
}

Result<Decision> decode(std::string_view line) {
  if (Result<void> whole = check_crc(line); !whole) return damaged(whole.error().what);
  Result<Json> json = parse_json(line, "decision");
  if (!json) return std::move(json).error();
  return decision_from_json(*json);
}

}  // namespace

Json to_json(const Decision& decision) {
  Json goal = Json::array(), runs = Json::array();
  for (const Measured& measured : decision.goal) goal.push_back(to_json(measured));
  for (const Pick& pick : decision.runs) runs.push_back(to_json(pick));
  return {{"schema", "ration.decision/1"},
          {"round", decision.round},
          {"verdict", name(decision.verdict)},
          {"why", decision.why},
          {"made_from", decision.made_from},
          {"options", decision.options},
          {"finished", decision.done},
          {"diverged", decision.diverged},
          {"failed", decision.failed},
          {"open", decision.open},
          {"free_flops", decision.free_flops},
          {"spent_flops", decision.spent_flops},
          {"law", decision.law},
          {"trusted", decision.trusted},
          {"doubt", decision.doubt},
          {"goal", goal},
          {"runs", runs},
          {"error_before", decision.outlook ? Json(decision.outlook->error_before) : Json()},
          {"error_after", decision.outlook ? Json(decision.outlook->error_after) : Json()}};
}

Result<Decision> decision_from_json(const Json& json) {
  try {
    if (json.at("schema") != "ration.decision/1")
      return damaged("not a ration.decision/1 document, perhaps of another version");
    const std::optional<Verdict> verdict = verdict_of(json.at("verdict"));
    if (!verdict) return damaged("an unknown verdict");
    Decision decision{.round = json.at("round"),
                      .verdict = *verdict,
                      .why = json.at("why"),
                      .made_from = json.at("made_from"),
                      .options = json.at("options"),
                      .done = json.at("finished"),
                      .diverged = json.at("diverged"),
                      .failed = json.at("failed"),
                      .open = json.at("open"),
                      .free_flops = json.at("free_flops"),
                      .spent_flops = json.at("spent_flops"),
                      .law = json.at("law"),
                      .trusted = json.at("trusted"),
                      .doubt = json.at("doubt")};
    for (const Json& measured : json.at("goal")) decision.goal.push_back(measured_from(measured));
    for (const Json& pick : json.at("runs")) decision.runs.push_back(pick_from(pick));
    if (!json.at("error_before").is_null())
      decision.outlook = {.error_before = json.at("error_before"),
                          .error_after = json.at("error_after")};
    return decision;
  } catch (const Json::exception& e) {
    return damaged(e.what());
  }
}

Result<Journal> Journal::open(Files& files, const Path& store, const std::string& sweep) {
  Journal journal(files, store / "loops" / (sweep + std::string(kEnding)));
  if (!files.exists(journal.file_)) return journal;
  Result<std::string> text = files.read(journal.file_);
  if (!text) return std::move(text).error();
  for (std::size_t begin = 0, number = 1; begin < text->size(); ++number) {
    const std::size_t end = text->find('\n', begin);
    if (end == std::string::npos) break;  // torn
    Result<Decision> decision = decode(std::string_view(*text).substr(begin, end - begin));
    begin = end + 1;
    if (!decision && begin == text->size()) break;  // written, but never whole on the disk
    if (!decision)
      return std::move(decision).error().with_context(
          fmt::format("{}, line {}", journal.file_.string(), number));
    journal.whole_ = begin;
    if (journal.decisions_.empty() || !(journal.decisions_.back() == *decision))
      journal.decisions_.push_back(std::move(*decision));
  }
  return journal;
}

Result<void> Journal::append(Decision decision) {
  if (!decisions_.empty() && decisions_.back() == decision) return {};
  Result<std::string> line = encode(decision);
  if (!line) return std::move(line).error();
  if (Result<void> made = files_->make_folders(file_.parent_path()); !made) return made;
  const bool is_new = !files_->exists(file_);
  if (!is_new) {
    Result<std::uint64_t> size = files_->size(file_);
    if (!size) return std::move(size).error();
    if (*size > whole_)
      if (Result<void> cut = files_->truncate(file_, whole_); !cut) return cut;
  }
  Result<std::unique_ptr<AppendFile>> file = files_->open_append(file_);
  if (!file) return std::move(file).error();
  fault_point("loop-before-decision");
  if (Result<void> written = (*file)->append(*line); !written) return written;
  if (Result<void> synced = (*file)->sync(); !synced) return synced;
  if (is_new)
    if (Result<void> synced = files_->sync(file_.parent_path()); !synced) return synced;
  fault_point("loop-after-decision");
  whole_ += line->size();
  decisions_.push_back(std::move(decision));
  return {};
}

Result<std::vector<std::string>> journals(Files& files, const Path& store) {
  const Path folder = store / "loops";
  if (!files.exists(folder)) return std::vector<std::string>();
  Result<std::vector<std::string>> names = files.list(folder);
  if (!names) return names;
  std::vector<std::string> sweeps;
  for (const std::string& file : *names)
    if (file.ends_with(kEnding)) sweeps.push_back(file.substr(0, file.size() - kEnding.size()));
  return sweeps;
}

}  // namespace ration::loop
