// From event logs to rows, each line exactly once: rows and the offset behind them are one
// transaction.

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/fault.h"
#include "run/event_scan.h"
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
  std::int64_t step = 0;
  double value = 0;
  std::int64_t wall_ms = 0;
};

// The points of one name, in the order of the log.
struct Curve {
  run::EventType type = run::EventType::train;
  std::string key;
  std::vector<Point> points;
};

// What a batch of lines comes to.
struct Digest {
  std::vector<Curve> curves;
  std::vector<std::pair<std::int64_t, std::string>> checkpoints;  // step, path below the attempt
  std::string build;
  std::string device;
  std::optional<double> started;  // when the worker wrote its first line
  double last_loss = std::nan("");
  double tokens = -1;
  bool foreign = false;  // written under another token
};

bool carries_points(run::EventType type) {
  using enum run::EventType;
  return type == train || type == val || type == epoch || type == skip || type == spike;
}

// Takes the lines of a log one after another.
class Digester {
 public:
  explicit Digester(LogState& log) : log_(log) {}

  void take(const run::EventView& event) {
    if (digest.foreign) return;
    if (event.type == run::EventType::start) take_start(event);
    if (digest.foreign) return;
    // Where the attempt began; a later resume is a rewind within it.
    if (event.type == run::EventType::resume && !log_.from_step) log_.from_step = event.step;
    if (carries_points(event.type)) {
      if (!log_.from_step) log_.from_step = -1;
      take_points(event);
    }
    if (event.type == run::EventType::train) digest.last_loss = event.number("loss");
    if (event.type == run::EventType::checkpoint) {
      std::string path(event.text("path"));
      if (path.empty()) path = fmt::format("checkpoint-{}", event.step);
      digest.checkpoints.emplace_back(event.step, std::move(path));
    }
    log_.last_step = std::max(log_.last_step, event.step);
    digest.tokens = static_cast<double>(event.tokens);
  }

  Digest digest;

 private:
  void take_start(const run::EventView& event) {
    digest.build = event.text("build");
    digest.device = event.text("device");
    digest.started = event.t;
    const std::string_view token = event.text("token");
    digest.foreign = !token.empty() && token != log_.token;
    if (event.step > 0) log_.from_step = event.step;
  }

  void take_points(const run::EventView& event) {
    const std::int64_t wall_ms = std::llround(event.t * 1000);
    for (const auto& [key, value] : event.numbers)
      curve(event.type, key).points.push_back({event.step, value, wall_ms});
  }

  // Lines of one type have their members in one order: the next curve is nearly always the one
  // behind the last.
  Curve& curve(run::EventType type, std::string_view key) {
    const std::size_t count = digest.curves.size();
    for (std::size_t i = 0; i < count; ++i) {
      Curve& candidate = digest.curves[(next_ + i) % count];
      if (candidate.type != type || candidate.key != key) continue;
      next_ = (next_ + i + 1) % count;
      return candidate;
    }
    return digest.curves.emplace_back(Curve{.type = type, .key = std::string(key), .points = {}});
  }

  LogState& log_;
  std::size_t next_ = 0;
};

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
          "device = coalesce(nullif(?, ''), device), started = coalesce(started, ?) WHERE id = ?")
      .bind(static_cast<std::int64_t>(log.offset),
            log.seq,
            log.last_step,
            log.from_step,
            log.damaged,
            digest.build,
            digest.device,
            digest.started,
            log.attempt)
      .run();
}

// Writes points, many with one statement: calling it costs more than a row does.
class PointInserter {
 public:
  PointInserter(Database& database, std::int64_t attempt)
      : attempt_(attempt),
        one_(database.prepare(text_for<1>())),
        many_(database.prepare(text_for<kMany>())) {}

  void add(std::int64_t name, std::span<const Point> points) {
    for (; points.size() >= kMany; points = points.subspan(kMany))
      insert(many_, name, points.first(kMany));
    for (; !points.empty(); points = points.subspan(1)) insert(one_, name, points.first(1));
  }

 private:
  static constexpr std::size_t kMany = 32;

  template <std::size_t rows>
  static const std::string& text_for() {
    static const std::string text = [] {
      std::string sql = "INSERT INTO metrics(attempt, name, step, value, wall) VALUES";
      for (std::size_t row = 0; row < rows; ++row)
        sql += fmt::format(
            "{}(?1,?2,?{},?{},?{})", row > 0 ? "," : "", 3 * row + 3, 3 * row + 4, 3 * row + 5);
      return sql + " ON CONFLICT DO NOTHING";
    }();
    return text;
  }

  void insert(Statement& statement, std::int64_t name, std::span<const Point> points) const {
    statement.reset();
    statement.set(1, attempt_);
    statement.set(2, name);
    int parameter = 3;
    for (const Point& point : points) {
      statement.set(parameter++, point.step);
      statement.set(parameter++, point.value);
      statement.set(parameter++, point.wall_ms);
    }
    statement.run();
  }

  std::int64_t attempt_;
  Statement one_;
  Statement many_;
};

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
  const std::optional<std::int64_t> from_before = log->from_step;
  Digester digester(*log);
  const run::LogProgress read = unwrap(run::visit_events(
      *files_, path, log->offset, log->seq, kLimit, [&](const run::EventView& event) {
        digester.take(event);
      }));
  if (read.next_offset == log->offset) return;

  const Digest& digest = digester.digest;
  summary.more = summary.more || read.next_offset - log->offset > kLimit / 2;
  log->offset = read.next_offset;
  log->seq = read.next_seq;
  const std::int64_t damaged = digest.foreign ? read.events : read.damaged;
  log->damaged += damaged;
  summary.damaged += damaged;
  summary.events += read.events;

  // Curve after curve: neighbours in the log are far apart in the table.
  PointInserter insert(*database_, attempt);
  for (const Curve& curve : digest.curves)
    insert.add(name_id(fmt::format("{}/{}", run::name(curve.type), curve.key)), curve.points);
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

namespace {

// The database looks up both parents of each row of metrics, which doubles the work; here they are
// known to exist. The setting holds from one transaction to the next, never within one.
class WithoutForeignKeys {
 public:
  explicit WithoutForeignKeys(Database& database) : database_(database) {
    database_.execute("PRAGMA foreign_keys=OFF");
  }
  ~WithoutForeignKeys() {
    const Result<void> ignored = guarded([&] { database_.execute("PRAGMA foreign_keys=ON"); });
    (void)ignored;
  }
  WithoutForeignKeys(const WithoutForeignKeys&) = delete;
  WithoutForeignKeys& operator=(const WithoutForeignKeys&) = delete;

 private:
  Database& database_;
};

}  // namespace

Result<IngestSummary> Writer::ingest(std::span<const std::int64_t> attempts) {
  names_.clear();  // an undone transaction may have taken names back
  Result<IngestSummary> summary = guarded([&] {
    const WithoutForeignKeys unchecked(*database_);
    return unwrap(write([&] {
      IngestSummary sum;
      const std::set<std::int64_t> sorted(attempts.begin(), attempts.end());
      for (const std::int64_t attempt : sorted) ingest_one(attempt, sum);
      fault_point("ingest-before-commit");
      return sum;
    }));
  });
  fault_point("ingest-after-commit");
  return summary;
}

}  // namespace ration::store
