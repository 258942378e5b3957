#include "store/writer.h"

#include <fmt/format.h>

#include <limits>

#include "base/fault.h"
#include "base/tokens.h"
#include "run/settings_file.h"
#include "store/database.h"
#include "store/lock.h"
#include "store/place.h"
#include "store/records.h"
#include "store/schema.h"
#include "store/write.h"

namespace ration::store {
namespace {

double number_or(const Json& json, const char* key, double other) {
  const double value = run::number(json, key);
  return json.contains(key) ? value : other;
}

constexpr const char* kRebuiltFile = "ration.db.rebuilt";

}  // namespace

Writer::Writer(Layout layout,
               std::unique_ptr<Database> database,
               Files& files,
               Clock& clock,
               std::unique_ptr<StoreLock> lock)
    : Reader(std::move(layout), std::move(database)),
      files_(&files),
      clock_(&clock),
      lock_(std::move(lock)) {}

Writer::Writer(Writer&&) noexcept = default;

Writer::~Writer() {
  rebuild_.reset();
  if (database_ == nullptr || lock_ == nullptr) return;
  // Where this fails the lease stays; the next scheduler of this host takes it over silently.
  const Result<void> ignored = guarded([&] { lock_->give_back(*database_); });
  (void)ignored;
}

Result<Writer> Writer::open(Files& files,
                            Clock& clock,
                            const Path& folder,
                            const WriterOptions& options) {
  Layout layout{folder};
  if (Result<void> shorter = require_short_path(layout); !shorter)
    return std::move(shorter).error();
  for (const Path& path : {layout.sweeps(), layout.runs(), layout.fits()})
    if (Result<void> made = files.make_folders(path); !made) return std::move(made).error();
  return guarded([&] {
    const Holder self{.host = options.host,
                      .process = this_process(),
                      .token = random_token(),
                      .passing = options.passing};
    auto lock = std::make_unique<StoreLock>(StoreLock::take(layout.lock(), self, clock));
    if (!options.rebuild) {
      refuse_lost(files, layout);
    } else {
      lock->respect_lease_in(layout.database(), clock.unix_seconds(), options.take_over);
      layout.database_file = kRebuiltFile;
      remove_database(files, layout.database());
    }
    if (!files.exists(layout.database())) make_database(files, layout.database());
    auto database = std::make_unique<Database>(layout.database(), Access::write, 10);
    std::string warning = configure_writer(*database);
    ensure_schema(*database);
    lock->take_lease(*database, clock.unix_seconds(), options.take_over);
    std::string migrated = migrate(*database, files);
    Writer writer(std::move(layout), std::move(database), files, clock, std::move(lock));
    if (options.rebuild) {
      // Nobody sees the file before it is whole and synced.
      writer.database_->execute(
          "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF");
      writer.rebuild_ = std::make_unique<Transaction>(*writer.database_);
    }
    for (std::string& text : {std::ref(warning), std::ref(migrated)})
      if (!text.empty()) writer.warnings_.push_back(std::move(text));
    return writer;
  });
}

std::int64_t Writer::name_id(const std::string& name) {
  if (const auto known = names_.find(name); known != names_.end()) return known->second;
  database_->prepare("INSERT OR IGNORE INTO names(name) VALUES(?)").bind(name).run();
  Statement find = database_->prepare("SELECT id FROM names WHERE name = ?");
  find.bind(name).step();
  return names_[name] = find.integer(0);
}

Result<SweepRow> Writer::register_sweep(const SweepRecord& sweep) {
  SweepRecord record = sweep;
  if (record.used == 0) record.used = clock_->unix_seconds();
  if (Result<void> done = write_sweep_record(*files_, layout_, record); !done)
    return std::move(done).error();
  fault_point("sweep-before-commit");
  Result<std::string> version = write(
      [&] {
        const std::string id = sweep_version(record);
        database_
            ->prepare(
                "INSERT INTO sweeps(name, version, file, source, created, used) "
                "VALUES(?1,?2,?3,?4,?5,?5) ON CONFLICT(version) DO UPDATE SET used = ?5, "
                "file = ?3")
            .bind(record.name, Hex{id}, record.file, record.source, record.used)
            .run();
        Statement find = database_->prepare("SELECT id FROM sweeps WHERE version = ?");
        find.bind(Hex{id}).step();
        add_members(find.integer(0), record);
        return id;
      },
      true);
  if (!version) return std::move(version).error();
  fault_point("sweep-after-commit");
  return find_sweep(fmt::format("{}-{}", record.name, *version));
}

void Writer::add_members(std::int64_t sweep, const SweepRecord& record) {
  Statement find = database_->prepare("SELECT id, config, execution FROM runs WHERE hash = ?");
  Statement execution = database_->prepare("UPDATE runs SET execution = ? WHERE id = ?");
  Statement link = database_->prepare(
      "INSERT INTO sweep_runs(sweep, ordinal, run, priority, tags) VALUES(?,?,?,?,?) "
      "ON CONFLICT DO UPDATE SET priority = excluded.priority, tags = excluded.tags");
  RunInserter insert(*database_, record.members);
  for (const Member& member : record.members) {
    const std::string config = run::canonical_text(member.spec);
    const std::string how = run::canonical_text(member.execution);
    std::int64_t run = 0;
    if (find.bind(Hex{member.id}).step()) {
      run = find.integer(0);
      if (find.text(1) != config)
        throw Failure{
            Error{.what = fmt::format("two different specs share the run id {}", member.id),
                  .hint = "report this: it should need a collision of SHA-256"}};
      if (find.text(2) != how) execution.bind(how, run).run();
    } else {
      run = insert.add(member, config, how, record.used);
    }
    link.bind(sweep, member.ordinal, run, member.priority, member.tags).run();
  }
}

Result<std::vector<std::int64_t>> Writer::begin_attempts(std::span<const NewAttempt> attempts,
                                                         bool durable) {
  return write(
      [&] {
        const double now = clock_->unix_seconds();
        Statement insert = database_->prepare(
            "INSERT INTO attempts(run, number, token, submitted) VALUES(?,?,?,?)");
        Statement activate = database_->prepare(
            "UPDATE runs SET state = 1, reason = '', not_before = 0, attempts = ?, started = ?, "
            "tokens_seen = 0, last_step = 0 WHERE id = ?");
        std::vector<std::int64_t> ids;
        for (const NewAttempt& attempt : attempts) {
          insert.bind(attempt.run, attempt.number, Hex{attempt.token}, now).run();
          ids.push_back(database_->last_insert());
          activate.bind(attempt.number, now, attempt.run).run();
        }
        return ids;
      },
      durable);
}

Result<std::int64_t> Writer::begin_attempt(std::int64_t run, int number, std::string_view token) {
  const NewAttempt attempt{.run = run, .number = number, .token = std::string(token)};
  Result<std::vector<std::int64_t>> ids = begin_attempts({&attempt, 1});
  if (!ids) return std::move(ids).error();
  return ids->front();
}

Result<void> Writer::place_attempts(std::span<const PlacedAttempt> attempts) {
  return write([&] {
    Statement place = database_->prepare(
        "UPDATE attempts SET state = max(state, 1), host = ?, boot = ?, pid = ?, pid_start = ? "
        "WHERE id = ?");
    for (const auto& [attempt, host, process] : attempts)
      place.bind(host, process.boot, process.pid, process.start, attempt).run();
  });
}

Result<void> Writer::withdraw_attempts(std::span<const std::int64_t> attempts,
                                       const std::string& reason) {
  return write([&] {
    Statement ready = database_->prepare(
        "UPDATE runs SET state = ?, reason = ?, attempts = attempts - 1 "
        "WHERE id = (SELECT run FROM attempts WHERE id = ?)");
    Statement remove = database_->prepare("DELETE FROM attempts WHERE id = ?");
    for (const std::int64_t attempt : attempts) {
      ready.bind(static_cast<int>(RunState::ready), reason, attempt).run();
      remove.bind(attempt).run();
    }
  });
}

Result<std::vector<SettingsText>> Writer::settings(std::span<const std::int64_t> runs) const {
  return guarded([&] {
    Statement row = database_->prepare("SELECT hash, config, execution FROM runs WHERE id = ?");
    std::vector<SettingsText> texts;
    for (const std::int64_t run : runs) {
      if (!row.bind(run).step())
        throw Failure{Error{.what = fmt::format("run {} is not in the database", run)}};
      texts.push_back({.id = row.blob_as_hex(0), .spec = row.text(1), .execution = row.text(2)});
    }
    return texts;
  });
}

void Writer::set_run(std::int64_t run, const RunUpdate& update) {
  database_
      ->prepare("UPDATE runs SET state = ?, reason = ?, not_before = ?, finished = ? WHERE id = ?")
      .bind(static_cast<int>(update.state),
            update.reason,
            update.not_before,
            settled(update.state) ? std::optional<double>(clock_->unix_seconds()) : std::nullopt,
            run)
      .run();
}

void Writer::set_result_columns(std::int64_t run, const Json& result) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  database_
      ->prepare(
          "UPDATE runs SET final_loss = ?, best_loss = ?, best_step = ?, last_step = ?, "
          "tokens_seen = ?, epochs = coalesce(?, epochs), wall_s = ? WHERE id = ?")
      .bind(number_or(result, "final_loss", nan),
            number_or(result, "best_loss", nan),
            number_or(result, "best_step", nan),
            number_or(result, "steps", 0),
            number_or(result, "tokens", 0),
            number_or(result, "epochs", nan),
            number_or(result, "wall_s", 0),
            run)
      .run();
}

Result<void> Writer::end_attempt(std::int64_t attempt,
                                 const AttemptEnding& ending,
                                 const RunUpdate& update,
                                 const std::optional<Json>& result,
                                 bool durable) {
  return write(
      [&] {
        Statement find = database_->prepare("SELECT run FROM attempts WHERE id = ?");
        find.bind(attempt).step();
        const std::int64_t run = find.integer(0);
        find.bind(attempt);
        database_
            ->prepare(
                "UPDATE attempts SET state = ?, class = ?, exit_code = ?, ended = ? WHERE id = ?")
            .bind(static_cast<int>(ending.state),
                  static_cast<int>(ending.failure),
                  ending.exit_code,
                  ending.ended,
                  attempt)
            .run();
        if (result) set_result_columns(run, *result);
        set_run(run, update);
        if (update.reason.empty()) return;
        database_->prepare("INSERT INTO events(t, run, attempt, what, detail) VALUES(?,?,?,?,?)")
            .bind(ending.ended, run, attempt, name(update.state), update.reason)
            .run();
      },
      durable);
}

Result<void> Writer::update_run(std::int64_t run, const RunUpdate& update) {
  return update_runs({&run, 1}, update);
}

Result<void> Writer::update_runs(std::span<const std::int64_t> runs, const RunUpdate& update) {
  return write([&] {
    for (const std::int64_t run : runs) set_run(run, update);
  });
}

Result<void> Writer::set_result(std::int64_t run, const Json& result, const RunUpdate& update) {
  return write([&] {
    set_result_columns(run, result);
    set_run(run, update);
  });
}

Result<void> Writer::note(std::int64_t run,
                          std::optional<std::int64_t> attempt,
                          std::string_view what,
                          std::string_view detail) {
  return write([&] {
    database_->prepare("INSERT INTO events(t, run, attempt, what, detail) VALUES(?,?,?,?,?)")
        .bind(clock_->unix_seconds(), run, attempt, what, detail)
        .run();
  });
}

Result<void> Writer::renew_lease(bool durable) {
  return guarded([&] { lock_->renew_lease(*database_, clock_->unix_seconds(), durable); });
}

Result<std::int64_t> Writer::add_attempt(const AttemptRow& attempt) {
  return write([&] {
    database_
        ->prepare(
            "INSERT INTO attempts(run, number, token, state, class, host, boot, pid, pid_start, "
            "submitted, ended, exit_code) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")
        .bind(attempt.run,
              attempt.number,
              Hex{attempt.token},
              static_cast<int>(attempt.state),
              static_cast<int>(attempt.failure),
              attempt.host,
              attempt.boot,
              attempt.pid,
              attempt.pid_start,
              attempt.submitted,
              attempt.ended,
              attempt.exit_code)
        .run();
    const std::int64_t id = database_->last_insert();
    database_
        ->prepare(
            "UPDATE runs SET attempts = max(attempts, ?), started = max(started, ?) WHERE id = ?")
        .bind(attempt.number, attempt.submitted, attempt.run)
        .run();
    return id;
  });
}

Result<std::int64_t> Writer::add_run(const Member& member) {
  return write([&] {
    return RunInserter(*database_, {&member, 1})
        .add(member,
             run::canonical_text(member.spec),
             run::canonical_text(member.execution),
             clock_->unix_seconds());
  });
}

Result<void> Writer::publish_rebuilt() {
  const Path built = layout_.database();
  layout_.database_file = Layout{}.database_file;
  return guarded([&] {
    rebuild_->commit();
    rebuild_.reset();
    lock_->give_back(*database_);
    database_->execute("PRAGMA journal_mode=DELETE");
    database_.reset();
    unwrap(files_->sync(built));
    fault_point("rebuild-before-publish");
    replace_database(*files_, built, layout_.database());
  });
}

void Writer::give_up_rebuilt() {
  rebuild_.reset();
  database_.reset();
  const Result<void> ignored = guarded([&] { remove_database(*files_, layout_.database()); });
  (void)ignored;
}

}  // namespace ration::store
