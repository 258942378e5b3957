#include <fmt/format.h>

#include <algorithm>

#include "store/database.h"
#include "store/schema.h"
#include "store/store.h"

namespace ration::store {
namespace {

constexpr std::string_view kRunColumns =
    "r.id, r.hash, r.state, r.reason, r.params, r.tokens, r.unique_tokens, r.epochs, r.flops, "
    "r.final_loss, r.best_loss, r.tokens_seen, r.last_loss, r.attempts, r.started, r.wall_s, "
    "r.not_before";

constexpr std::string_view kAttemptColumns =
    "id, run, number, token, state, class, host, boot, pid, pid_start, submitted, ended, "
    "exit_code, "
    "last_step, from_step, damaged";

constexpr std::string_view kSweepColumns =
    "s.id, s.name, s.version, s.file, s.created, s.used, "
    "(SELECT count(*) FROM sweep_runs m WHERE m.sweep = s.id)";

RunRow run_row(const Statement& row) {
  return {.id = row.integer(0),
          .run = row.blob_as_hex(1),
          .state = static_cast<RunState>(row.integer(2)),
          .reason = row.text(3),
          .params = row.real(4),
          .tokens = row.real(5),
          .unique_tokens = row.real(6),
          .epochs = row.real(7),
          .flops = row.real(8),
          .final_loss = row.real(9),
          .best_loss = row.real(10),
          .tokens_seen = row.real(11),
          .last_loss = row.real(12),
          .attempts = row.integer(13),
          .started = row.real(14),
          .wall_s = row.real(15),
          .not_before = row.real(16)};
}

template <class T>
std::optional<T> optional_integer(const Statement& row, int column) {
  if (row.null(column)) return std::nullopt;
  return static_cast<T>(row.integer(column));
}

AttemptRow attempt_row(const Statement& row) {
  return {.id = row.integer(0),
          .run = row.integer(1),
          .number = static_cast<int>(row.integer(2)),
          .token = row.blob_as_hex(3),
          .state = static_cast<AttemptState>(row.integer(4)),
          .failure = static_cast<FailureClass>(row.integer(5)),
          .host = row.text(6),
          .boot = row.text(7),
          .pid = row.integer(8),
          .pid_start = row.integer(9),
          .submitted = row.real(10),
          .ended = row.real(11),
          .exit_code = optional_integer<int>(row, 12),
          .last_step = row.integer(13),
          .from_step = optional_integer<std::int64_t>(row, 14),
          .damaged = row.integer(15)};
}

SweepRow sweep_row(const Statement& row) {
  return {.id = row.integer(0),
          .name = row.text(1),
          .version = row.blob_as_hex(2),
          .file = row.text(3),
          .created = row.real(4),
          .used = row.real(5),
          .runs = row.integer(6)};
}

std::vector<AttemptRow> attempt_rows(Statement& rows) {
  std::vector<AttemptRow> attempts;
  while (rows.step()) attempts.push_back(attempt_row(rows));
  return attempts;
}

// The stem of "sweeps/tiny.toml" is the name that a sweep has by default.
std::string stem_of_file(std::string_view text) {
  const Path path(text);
  const bool file = path.extension() == ".toml" || path.extension() == ".json";
  return file ? path.stem().string() : std::string(text);
}

bool hex_digits(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

Error ambiguous(std::string_view prefix, const std::vector<RunRow>& found) {
  std::string candidates;
  for (const RunRow& row : found)
    candidates += (candidates.empty() ? "" : ", ") + row.run.substr(0, 12);
  return {.kind = ErrorKind::usage,
          .what = fmt::format("several runs begin with \"{}\": {}{}",
                              prefix,
                              candidates,
                              found.size() > 4 ? ", …" : ""),
          .hint = "give more digits"};
}

}  // namespace

Reader::Reader(Layout layout, std::unique_ptr<Database> database)
    : layout_(std::move(layout)), database_(std::move(database)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Result<Reader> Reader::open(Files& files, const Path& folder, const ReaderOptions& options) {
  Layout layout{folder};
  if (!files.exists(layout.database())) {
    const bool lost = files.exists(layout.runs());
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no database in {}", folder.string()),
                 .hint = lost ? "the run folders are there: `ration db rebuild` makes it again"
                              : "`ration run SWEEP.toml` makes one; --store names another folder"};
  }
  return guarded([&] {
    auto database =
        std::make_unique<Database>(layout.database(), Access::read, options.busy_seconds);
    require_schema(*database);
    return Reader(std::move(layout), std::move(database));
  });
}

Result<std::vector<SweepRow>> Reader::sweeps() const {
  return guarded([&] {
    Statement rows = database_->prepare(
        fmt::format("SELECT {} FROM sweeps s ORDER BY s.used DESC, s.id DESC", kSweepColumns));
    std::vector<SweepRow> sweeps;
    while (rows.step()) sweeps.push_back(sweep_row(rows));
    return sweeps;
  });
}

Result<SweepRow> Reader::find_sweep(std::string_view name_or_file) const {
  return guarded([&]() -> SweepRow {
    if (name_or_file.empty())
      throw Failure{Error{.kind = ErrorKind::usage,
                          .what = "the name of a sweep is empty",
                          .hint = "`ration status` lists the sweeps"}};
    const std::string stem = stem_of_file(name_or_file);
    Statement rows = database_->prepare(
        fmt::format("SELECT {} FROM sweeps s WHERE s.name IN (?1, ?3) OR s.file = ?2 "
                    "OR s.name || '-' || lower(hex(s.version)) IN (?1, ?3) "
                    "ORDER BY s.name = ?3 DESC, s.used DESC, s.id DESC LIMIT 1",
                    kSweepColumns));
    const std::string file = std::filesystem::absolute(name_or_file).lexically_normal().string();
    if (rows.bind(stem, file, name_or_file).step()) return sweep_row(rows);
    std::string known;
    Statement names =
        database_->prepare("SELECT DISTINCT name FROM sweeps ORDER BY used DESC LIMIT 5");
    while (names.step()) known += (known.empty() ? "" : ", ") + names.text(0);
    throw Failure{
        Error{.kind = ErrorKind::input,
              .what = fmt::format("no sweep \"{}\" in {}", name_or_file, layout_.folder.string()),
              .hint = known.empty() ? "`ration run SWEEP.toml` adds one" : "there are: " + known}};
  });
}

Result<RunRow> Reader::find_run(std::string_view id_prefix) const {
  return guarded([&]() -> RunRow {
    constexpr std::size_t kDigits = 32;
    std::vector<RunRow> found;
    if (hex_digits(id_prefix) && id_prefix.size() <= kDigits) {
      std::string low(id_prefix);
      std::string high(id_prefix);
      low.resize(kDigits, '0');
      high.resize(kDigits, 'f');
      Statement rows = database_->prepare(
          fmt::format("SELECT {} FROM runs r WHERE r.hash BETWEEN ? AND ? ORDER BY r.hash LIMIT 5",
                      kRunColumns));
      rows.bind(Hex{low}, Hex{high});
      while (rows.step()) found.push_back(run_row(rows));
    }
    if (found.size() > 1) throw Failure{ambiguous(id_prefix, found)};
    if (found.empty())
      throw Failure{Error{
          .kind = ErrorKind::input,
          .what =
              fmt::format("no run begins with \"{}\" in {}", id_prefix, layout_.folder.string()),
          .hint = "`ration status --runs` lists the runs"}};
    return found.front();
  });
}

Result<std::vector<RunRow>> Reader::runs(std::optional<std::int64_t> sweep) const {
  return guarded([&] {
    Statement rows = database_->prepare(
        sweep ? fmt::format(
                    "SELECT {}, m.ordinal, m.tags FROM sweep_runs m JOIN runs r ON r.id = m.run "
                    "WHERE m.sweep = ? ORDER BY m.priority DESC, m.ordinal",
                    kRunColumns)
              : fmt::format("SELECT {}, r.id, '{{}}' FROM runs r ORDER BY r.id", kRunColumns));
    if (sweep) rows.bind(*sweep);
    std::vector<RunRow> runs;
    while (rows.step()) {
      runs.push_back(run_row(rows));
      runs.back().ordinal = rows.integer(17);
      runs.back().tags = rows.text(18);
    }
    return runs;
  });
}

Result<Progress> Reader::progress(std::optional<std::int64_t> sweep) const {
  return guarded([&] {
    const std::string from = sweep
                                 ? "FROM sweep_runs m JOIN runs r ON r.id = m.run WHERE m.sweep = ?"
                                 : "FROM runs r WHERE ? IS NULL";
    const std::optional<std::int64_t> key = sweep;
    Progress progress;
    Statement counts =
        database_->prepare("SELECT r.state, count(*), sum(r.flops) " + from + " GROUP BY r.state");
    for (counts.bind(key); counts.step();) {
      const auto state = static_cast<std::size_t>(counts.integer(0));
      if (state < progress.by_state.size()) progress.by_state[state] += counts.integer(1);
      progress.flops_total += counts.real(2);
      if (settled(static_cast<RunState>(state))) progress.flops_settled += counts.real(2);
      if (in_vain(static_cast<RunState>(state))) progress.flops_in_vain += counts.real(2);
    }
    Statement active = database_->prepare(
        fmt::format("SELECT {} {} AND r.state = 1 ORDER BY r.started", kRunColumns, from));
    for (active.bind(key); active.step();) progress.active.push_back(run_row(active));
    Statement speed = database_->prepare(
        "SELECT sum(flops) / sum(wall_s) FROM (SELECT flops, wall_s FROM runs "
        "WHERE state = 2 AND wall_s > 0 ORDER BY id DESC LIMIT 1000)");
    if (speed.step() && !speed.null(0)) progress.flops_per_second = speed.real(0);
    return progress;
  });
}

Result<run::RunFile> Reader::spec(std::int64_t run) const {
  return guarded([&]() -> run::RunFile {
    Statement row = database_->prepare("SELECT hash, config, execution FROM runs WHERE id = ?");
    if (!row.bind(run).step())
      throw Failure{Error{.what = fmt::format("run {} is not in the database", run)}};
    const std::string file = database_->file().string();
    const Json config = unwrap(parse_json(row.text(1), file));
    const Json execution = unwrap(parse_json(row.text(2), file));
    return {.id = row.blob_as_hex(0),
            .spec = unwrap(run::spec_from_json(config, file)),
            .execution = unwrap(run::execution_from_json(execution, file))};
  });
}

Result<std::vector<AttemptRow>> Reader::attempts(std::int64_t run) const {
  return guarded([&] {
    Statement rows = database_->prepare(
        fmt::format("SELECT {} FROM attempts WHERE run = ? ORDER BY number", kAttemptColumns));
    return attempt_rows(rows.bind(run));
  });
}

Result<std::vector<AttemptRow>> Reader::live_attempts() const {
  return guarded([&] {
    // The plus keeps SQLite from walking all attempts in the order of their ids: few are alive.
    Statement rows = database_->prepare(
        fmt::format("SELECT {} FROM attempts WHERE state < 3 ORDER BY +id", kAttemptColumns));
    return attempt_rows(rows);
  });
}

Result<std::vector<EventRow>> Reader::events(std::int64_t run, std::size_t newest) const {
  return guarded([&] {
    Statement rows = database_->prepare(
        "SELECT e.t, e.what, e.detail, coalesce(a.number, 0) FROM events e "
        "LEFT JOIN attempts a ON a.id = e.attempt WHERE e.run = ? ORDER BY e.id DESC LIMIT ?");
    rows.bind(run, static_cast<std::int64_t>(newest));
    std::vector<EventRow> events;
    while (rows.step())
      events.push_back({.t = rows.real(0),
                        .what = rows.text(1),
                        .detail = rows.text(2),
                        .attempt = static_cast<int>(rows.integer(3))});
    std::reverse(events.begin(), events.end());
    return events;
  });
}

Result<std::vector<std::string>> Reader::sweeps_of(std::int64_t run) const {
  return guarded([&] {
    Statement rows = database_->prepare(
        "SELECT DISTINCT s.name FROM sweep_runs m JOIN sweeps s ON s.id = m.sweep WHERE m.run = ? "
        "ORDER BY s.used DESC");
    std::vector<std::string> names;
    for (rows.bind(run); rows.step();) names.push_back(rows.text(0));
    return names;
  });
}

Result<std::vector<MetricPoint>> Reader::metrics(std::int64_t run) const {
  return guarded([&] {
    Statement hash = database_->prepare("SELECT lower(hex(hash)) FROM runs WHERE id = ?");
    hash.bind(run).step();
    Statement rows = database_->prepare(
        "SELECT name, step, value FROM v_metrics WHERE run = ? ORDER BY name, step");
    std::vector<MetricPoint> points;
    for (rows.bind(hash.text(0)); rows.step();)
      points.push_back({.name = rows.text(0), .step = rows.integer(1), .value = rows.real(2)});
    return points;
  });
}

}  // namespace ration::store
