// From event logs to rows, each line exactly once: rows and the offset behind them are one
// transaction.

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/fault.h"
#include "store/database.h"
#include "store/write.h"

namespace ration::store {
namespace {

// Where reading of an attempt's log stands.
struct LogState {
  std::int64_t attempt = 0;
  std::int64_t run = 0;
  int number = 0;
  std::string hash;
  std::string token;
  std::uint64_t offset = 0;
  std::int64_t seq = 0;
  std::int64_t last_step = 0;
  std::optional<std::int64_t> from_step;
  std::int64_t damaged = 0;
  bool newest = false;  // no later attempt of this run
};

struct Point {
  std::string name;
  std::int64_t step = 0;
  double value = 0;
  std::int64_t wall_ms = 0;
};

// What a batch of lines comes to.
struct Digest {
  std::vector<Point> points;
  std::vector<std::pair<std::int64_t, std::string>> checkpoints;  // step, path below the attempt
  std::string build;
  std::string device;
  double last_loss = std::nan("");
  double tokens = -1;
  bool foreign = false;  // written under another token
};

bool carries_points(run::EventType type) {
  using enum run::EventType;
  return type == train || type == val || type == epoch || type == skip || type == spike;
}

std::optional<double> value_of(const Json& member) {
  if (member.is_number()) return member.get<double>();
  if (member == "nan") return std::nan("");
  if (member == "inf") return HUGE_VAL;
  if (member == "-inf") return -HUGE_VAL;
  return std::nullopt;
}

std::string text_member(const Json& values, const char* key) {
  const auto found = values.find(key);
  return found != values.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void take_start(const run::Event& event, LogState& log, Digest& digest) {
  digest.build = text_member(event.values, "build");
  digest.device = text_member(event.values, "device");
  const std::string token = text_member(event.values, "token");
  digest.foreign = !token.empty() && token != log.token;
  if (event.step > 0) log.from_step = event.step;
}

void take_points(const run::Event& event, Digest& digest) {
  for (const auto& [key, member] : event.values.items())
    if (const std::optional<double> value = value_of(member))
      digest.points.push_back({.name = fmt::format("{}/{}", run::name(event.type), key),
                               .step = event.step,
                               .value = *value,
                               .wall_ms = std::llround(event.t * 1000)});
}

Digest digest_of(const run::EventBatch& batch, LogState& log) {
  Digest digest;
  for (const run::Event& event : batch.events) {
    if (event.type == run::EventType::start) take_start(event, log, digest);
    if (digest.foreign) break;
    // Where the attempt began; a later resume is a rewind within it.
    if (event.type == run::EventType::resume && !log.from_step) log.from_step = event.step;
    if (carries_points(event.type)) {
      if (!log.from_step) log.from_step = -1;
      take_points(event, digest);
    }
    if (event.type == run::EventType::train) digest.last_loss = run::number(event.values, "loss");
    if (event.type == run::EventType::checkpoint) {
      std::string path = text_member(event.values, "path");
      if (path.empty()) path = fmt::format("checkpoint-{}", event.step);
      digest.checkpoints.emplace_back(event.step, std::move(path));
    }
    log.last_step = std::max(log.last_step, event.step);
    digest.tokens = static_cast<double>(event.tokens);
  }
  return digest;
}

std::optional<LogState> find_log(const Database& database, std::int64_t attempt) {
  Statement row = database.prepare(
      "SELECT a.run, a.number, r.hash, a.token, a.log_offset, a.log_seq, a.last_step, a.from_step, "
      "a.damaged, a.number = (SELECT max(b.number) FROM attempts b WHERE b.run = a.run) "
      "FROM attempts a JOIN runs r ON r.id = a.run WHERE a.id = ?");
  if (!row.bind(attempt).step()) return std::nullopt;
  LogState log{.attempt = attempt,
               .run = row.integer(0),
               .number = static_cast<int>(row.integer(1)),
               .hash = row.blob_as_hex(2),
               .token = row.blob_as_hex(3),
               .offset = static_cast<std::uint64_t>(row.integer(4)),
               .seq = row.integer(5),
               .last_step = row.integer(6),
               .damaged = row.integer(8),
               .newest = row.integer(9) != 0};
  if (!row.null(7)) log.from_step = row.integer(7);
  return log;
}

void save_log(Database& database, const LogState& log, const Digest& digest) {
  database
      .prepare(
          "UPDATE attempts SET state = max(state, 2), log_offset = ?, log_seq = ?, last_step = ?, "
          "from_step = ?, damaged = ?, build = coalesce(nullif(?, ''), build), "
          "device = coalesce(nullif(?, ''), device) WHERE id = ?")
      .bind(static_cast<std::int64_t>(log.offset),
            log.seq,
            log.last_step,
            log.from_step,
            log.damaged,
            digest.build,
            digest.device,
            log.attempt)
      .run();
}

// Each attempt is valid up to the step that a later one resumed from.
void mark_superseded(Database& database, std::int64_t run) {
  database
      .prepare(
          "UPDATE attempts SET valid_to = (SELECT min(b.from_step) FROM attempts b "
          "WHERE b.run = attempts.run AND b.number > attempts.number) WHERE run = ?")
      .bind(run)
      .run();
}

}  // namespace

void Writer::ingest_one(std::int64_t attempt, IngestSummary& summary) {
  std::optional<LogState> log = find_log(*database_, attempt);
  if (!log) return;
  const Path path = run::RunFolder(*files_, layout_.run(log->hash)).events_path(log->number);
  constexpr std::uint64_t kLimit = 16U << 20;  // bounds the memory of one call
  if (files_->exists(path) && unwrap(files_->size(path)) < log->offset) {
    log->offset = 0;  // not the file that was read before: read it again, known rows are kept
    log->seq = 0;
  }
  const run::EventBatch batch =
      unwrap(run::read_events(*files_, path, log->offset, log->seq, kLimit));
  if (batch.next_offset == log->offset) return;

  const std::optional<std::int64_t> from_before = log->from_step;
  const Digest digest = digest_of(batch, *log);
  summary.more = summary.more || batch.next_offset - log->offset > kLimit / 2;
  log->offset = batch.next_offset;
  log->seq = batch.next_seq;
  const std::int64_t damaged =
      digest.foreign ? static_cast<std::int64_t>(batch.events.size()) : batch.damaged;
  log->damaged += damaged;
  summary.damaged += damaged;
  summary.events += static_cast<std::int64_t>(batch.events.size());

  Statement insert = database_->prepare(
      "INSERT INTO metrics(attempt, name, step, value, wall) VALUES(?,?,?,?,?) ON CONFLICT DO "
      "NOTHING");
  for (const Point& point : digest.points)
    insert.bind(attempt, name_id(point.name), point.step, point.value, point.wall_ms).run();
  for (const auto& [step, name] : digest.checkpoints)
    database_
        ->prepare(
            "INSERT OR IGNORE INTO artifacts(run, attempt, kind, step, path) "
            "VALUES(?,?,'checkpoint',?,?)")
        .bind(log->run, attempt, step, fmt::format("attempt-{}/{}", log->number, name))
        .run();
  fault_point("ingest-before-offset");
  save_log(*database_, *log, digest);
  if (log->from_step != from_before) mark_superseded(*database_, log->run);
  if (log->newest && !digest.foreign && digest.tokens >= 0)
    database_
        ->prepare(
            "UPDATE runs SET last_step = ?, tokens_seen = ?, "
            "last_loss = coalesce(?, last_loss) WHERE id = ?")
        .bind(log->last_step, digest.tokens, digest.last_loss, log->run)
        .run();
}

Result<IngestSummary> Writer::ingest(std::span<const std::int64_t> attempts) {
  names_.clear();  // an undone transaction may have taken names back
  Result<IngestSummary> summary = write([&] {
    IngestSummary sum;
    const std::set<std::int64_t> sorted(attempts.begin(), attempts.end());
    for (const std::int64_t attempt : sorted) ingest_one(attempt, sum);
    fault_point("ingest-before-commit");
    return sum;
  });
  fault_point("ingest-after-commit");
  return summary;
}

}  // namespace ration::store
