#include "run/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "base/crc_line.h"
#include "run/event_scan.h"

namespace ration::run {
namespace {

constexpr std::array<std::string_view, 10> kTypeNames = {
    "start", "train", "val", "epoch", "checkpoint", "skip", "spike", "resume", "stop", "done"};
constexpr std::size_t kMaxLine = 1U << 20;

std::optional<EventType> type_of(std::string_view text) {
  for (std::size_t i = 0; i < kTypeNames.size(); ++i)
    if (kTypeNames[i] == text) return static_cast<EventType>(i);
  return std::nullopt;
}

std::string non_finite_name(double value) {
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

// Replaces numbers that JSON cannot hold.
Json printable(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    return non_finite_name(value.get<double>());
  if (!value.is_structured()) return value;
  Json copy = value;
  for (Json& member : copy) member = printable(member);
  return copy;
}

Error damaged(std::string what) {
  return {.kind = ErrorKind::input, .what = "event line: " + std::move(what)};
}

}  // namespace

std::string_view name(EventType type) { return kTypeNames[static_cast<std::size_t>(type)]; }

std::string encode(const Event& event) {
  std::string line =
      fmt::format(R"({{"seq":{},"type":"{}","t":{:.6f},"step":{},"tokens":{},"epoch":{})",
                  event.seq,
                  name(event.type),
                  event.t,
                  event.step,
                  event.tokens,
                  event.epoch);
  const Json values = printable(event.values);
  for (const auto& [key, value] : values.items())
    line += fmt::format(
        ",{}:{}", Json(key).dump(), value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return with_crc(line + "}") + "\n";
}

Result<Event> decode(std::string_view line) {
  if (line.size() > kMaxLine) return damaged("longer than 1 MiB");
  if (Result<void> whole = check_crc(line); !whole) return damaged(whole.error().what);

  Result<Json> parsed = parse_json(line, "event line");
  if (!parsed) return std::move(parsed).error();
  Json& json = *parsed;
  const auto whole = [&](const char* key) {
    return json.contains(key) && json[key].is_number_integer();
  };
  const auto real = [&](const char* key) { return json.contains(key) && json[key].is_number(); };
  if (!whole("seq") || !whole("step") || !whole("tokens") || !real("t") || !real("epoch") ||
      !json.contains("type") || !json["type"].is_string())
    return damaged("seq, type, t, step, tokens or epoch is missing");
  const std::optional<EventType> type = type_of(json["type"].get<std::string>());
  if (!type) return damaged("unknown type");

  Event event{.seq = json["seq"],
              .type = *type,
              .t = json["t"],
              .step = json["step"],
              .tokens = json["tokens"],
              .epoch = json["epoch"]};
  for (const char* key : {"seq", "type", "t", "step", "tokens", "epoch", "crc"}) json.erase(key);
  event.values = std::move(json);
  return event;
}

double number(const Json& values, std::string_view key) {
  const auto found = values.find(std::string(key));
  if (found != values.end() && found->is_number()) return found->get<double>();
  if (found != values.end() && *found == "inf") return std::numeric_limits<double>::infinity();
  if (found != values.end() && *found == "-inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

Result<void> EventWriter::write(Event event, bool durable) {
  event.seq = next_seq_;
  if (Result<void> done = file_->append(encode(event)); !done) return done;
  ++next_seq_;
  return durable ? file_->sync() : Result<void>();
}

Result<LogProgress> walk_lines(
    Files& files,
    const Path& log,
    std::uint64_t offset,
    std::int64_t next_seq,
    std::uint64_t limit,
    const std::function<std::optional<std::int64_t>(std::string_view line)>& decode_line,
    const std::function<void()>& keep) {
  LogProgress progress{.next_offset = offset, .next_seq = next_seq};
  if (!files.exists(log)) return progress;
  Result<std::string> bytes = files.read_range(log, offset, limit);
  if (!bytes) return std::move(bytes).error();
  std::string_view rest = *bytes;
  std::int64_t bad_since_good = 0;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::optional<std::int64_t> seq = decode_line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    progress.next_offset = offset + (bytes->size() - rest.size());
    if (!seq || *seq < progress.next_seq) {
      ++bad_since_good;
      continue;
    }
    const std::int64_t gap =
        *seq - progress.next_seq;  // a line that is gone is as damaged as one that is garbled
    progress.damaged += std::max(gap, bad_since_good);
    bad_since_good = 0;
    progress.next_seq = *seq + 1;
    ++progress.events;
    keep();
  }
  progress.damaged += bad_since_good;
  const bool one_endless_line = progress.next_offset == offset && bytes->size() == limit;
  if (one_endless_line) {
    ++progress.damaged;
    progress.next_offset += limit;
  }
  return progress;
}

Result<EventBatch> read_events(Files& files,
                               const Path& log,
                               std::uint64_t offset,
                               std::int64_t next_seq,
                               std::uint64_t limit) {
  EventBatch batch;
  Event event;
  Result<LogProgress> progress = walk_lines(
      files,
      log,
      offset,
      next_seq,
      limit,
      [&](std::string_view line) -> std::optional<std::int64_t> {
        Result<Event> decoded = decode(line);
        if (!decoded) return std::nullopt;
        event = std::move(*decoded);
        return event.seq;
      },
      [&] { batch.events.push_back(std::move(event)); });
  if (!progress) return std::move(progress).error();
  batch.next_offset = progress->next_offset;
  batch.next_seq = progress->next_seq;
  batch.damaged = progress->damaged;
  return batch;
}

}  // namespace ration::run
