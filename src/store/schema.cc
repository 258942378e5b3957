#include "store/schema.h"

#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/part_file.h"
#include "store/eval_schema.h"

namespace ration::store {
namespace {

// Integers for states and names keep rows small; views give words. Times are UNIX seconds, except
// metrics.wall (milliseconds, to stay an integer).
constexpr const char* kTables = R"sql(
CREATE TABLE sweeps(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, version BLOB NOT NULL UNIQUE, file TEXT, source TEXT,
  created REAL, used REAL);
CREATE INDEX sweeps_by_name ON sweeps(name, used);

CREATE TABLE runs(
  id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, cell BLOB NOT NULL,
  params REAL, n_block REAL, n_embed REAL, n_head REAL, n_total REAL,
  tokens REAL, unique_tokens REAL, epochs REAL, seed INT, subset_seed INT, step_tokens REAL,
  flops REAL, flops_kaplan REAL, flops_6nd REAL, flops_6nd_head REAL, flops_palm REAL,
  flops_chinchilla REAL,
  state INT NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', not_before REAL NOT NULL DEFAULT 0,
  best_step INT, best_loss REAL, final_loss REAL,
  last_step INT NOT NULL DEFAULT 0, tokens_seen REAL NOT NULL DEFAULT 0, last_loss REAL,
  attempts INT NOT NULL DEFAULT 0, started REAL NOT NULL DEFAULT 0, wall_s REAL NOT NULL DEFAULT 0,
  created REAL, finished REAL,
  config TEXT NOT NULL, execution TEXT NOT NULL);
CREATE INDEX runs_to_launch ON runs(state, id);
CREATE INDEX runs_for_fits ON runs(params, tokens, unique_tokens);
CREATE INDEX runs_by_text ON runs(lower(hex(hash)));

CREATE TABLE sweep_runs(
  sweep INT NOT NULL REFERENCES sweeps, ordinal INT NOT NULL, run INT NOT NULL REFERENCES runs,
  priority INT NOT NULL DEFAULT 0, tags TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY(sweep, ordinal)) WITHOUT ROWID;
CREATE INDEX sweep_runs_by_run ON sweep_runs(run);

CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE attempts(
  id INTEGER PRIMARY KEY, run INT NOT NULL REFERENCES runs, number INT NOT NULL,
  token BLOB NOT NULL UNIQUE, state INT NOT NULL DEFAULT 0, class INT NOT NULL DEFAULT 0,
  executor INT NOT NULL DEFAULT 0, host TEXT NOT NULL DEFAULT '', boot TEXT NOT NULL DEFAULT '',
  pid INT NOT NULL DEFAULT 0, pid_start INT NOT NULL DEFAULT 0, job INT, task INT,
  submitted REAL NOT NULL DEFAULT 0, started REAL, ended REAL NOT NULL DEFAULT 0,
  exit_code INT, from_step INT, valid_to INT, last_step INT NOT NULL DEFAULT 0,
  log_offset INT NOT NULL DEFAULT 0, log_seq INT NOT NULL DEFAULT 0,
  damaged INT NOT NULL DEFAULT 0, build TEXT, device TEXT,
  UNIQUE(run, number));
CREATE INDEX attempts_alive ON attempts(state) WHERE state < 3;

CREATE TABLE metrics(
  attempt INT NOT NULL REFERENCES attempts, name INT NOT NULL REFERENCES names, step INT NOT NULL,
  value REAL, wall INT,
  PRIMARY KEY(attempt, name, step)) WITHOUT ROWID;

CREATE TABLE artifacts(
  id INTEGER PRIMARY KEY, run INT NOT NULL REFERENCES runs, attempt INT REFERENCES attempts,
  kind TEXT NOT NULL, step INT, path TEXT NOT NULL,
  UNIQUE(run, path));
CREATE INDEX artifacts_newest ON artifacts(run, kind, step DESC);

CREATE TABLE fits(
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, created REAL, law TEXT NOT NULL, query TEXT,
  document TEXT NOT NULL, loss REAL, status TEXT);
CREATE TABLE fit_runs(
  fit INT NOT NULL REFERENCES fits, run INT NOT NULL REFERENCES runs,
  PRIMARY KEY(fit, run)) WITHOUT ROWID;

CREATE TABLE leases(
  name TEXT PRIMARY KEY, owner TEXT, host TEXT, pid INT, pid_start INT, renewed REAL);

CREATE TABLE events(
  id INTEGER PRIMARY KEY, t REAL, run INT REFERENCES runs, attempt INT REFERENCES attempts,
  what TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '');
CREATE INDEX events_of_run ON events(run, id);
)sql";

// What users may rely on from one version to the next.
constexpr const char* kViews = R"sql(
CREATE VIEW v_runs AS
SELECT lower(hex(r.hash)) AS run, lower(hex(r.cell)) AS cell,
  (SELECT s.name FROM sweep_runs m JOIN sweeps s ON s.id = m.sweep WHERE m.run = r.id
   ORDER BY s.used DESC, s.id DESC LIMIT 1) AS sweep,
  CASE r.state WHEN 0 THEN 'ready' WHEN 1 THEN 'active' WHEN 2 THEN 'done' WHEN 3 THEN 'diverged'
    WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled' WHEN 6 THEN 'invalid'
    WHEN 7 THEN 'stopped' WHEN 8 THEN 'skipped' ELSE 'unknown' END AS state,
  r.reason, r.params, r.n_block, r.n_embed, r.n_head, r.n_total, r.tokens, r.unique_tokens,
  r.epochs, r.seed, r.subset_seed, r.flops, r.flops_kaplan, r.flops_6nd, r.flops_6nd_head,
  r.flops_palm, r.flops_chinchilla, r.final_loss AS final_loss_nats, r.best_loss AS best_loss_nats,
  r.best_step, r.tokens_seen, r.attempts, r.wall_s, r.finished, r.config
FROM runs r;

-- Attempt n gives the steps up to the one that attempt n + 1 resumed from. A point at that very step
-- may come from either; the older attempt is taken.
CREATE VIEW v_metrics AS
SELECT lower(hex(r.hash)) AS run, a.number AS attempt, n.name, m.step,
  min(m.step * r.step_tokens, r.tokens) AS tokens,
  min(m.step * r.step_tokens, r.tokens) / r.unique_tokens AS epochs, m.value, m.wall / 1000.0 AS t
FROM names n JOIN metrics m ON m.name = n.id JOIN attempts a ON a.id = m.attempt
  JOIN runs r ON r.id = a.run
WHERE (a.valid_to IS NULL OR m.step <= a.valid_to) AND m.step >= coalesce(a.from_step, -1)
  AND (m.step > coalesce(a.from_step, -1) OR NOT EXISTS (
    SELECT 1 FROM attempts b JOIN metrics x
      ON x.attempt = b.id AND x.name = m.name AND x.step = m.step
    WHERE b.run = a.run AND b.number < a.number
      AND (b.valid_to IS NULL OR x.step <= b.valid_to)));

CREATE VIEW v_losses AS
SELECT run, step, tokens, epochs, value AS loss_nats FROM v_metrics WHERE name = 'val/loss';

CREATE VIEW v_fits AS
SELECT f.id AS fit, f.created, f.law, f.query, f.loss AS objective, f.status, f.document,
  (SELECT count(*) FROM fit_runs x WHERE x.fit = f.id) AS runs
FROM fits f;
)sql";

// Magic numbers of file systems that reach other hosts (statfs(2), linux/magic.h and their own
// headers): NFS, CIFS, SMB2, SMB, Lustre, GPFS, BeeGFS, FUSE, AFS, Ceph.
constexpr std::array<unsigned long, 10> kNetworkFileSystems = {0x6969,
                                                               0xFF534D42,
                                                               0xFE534D42,
                                                               0x517B,
                                                               0x0BD00BD0,
                                                               0x47504653,
                                                               0x19830326,
                                                               0x65735546,
                                                               0x5346414F,
                                                               0x00C36400};

bool on_network(const Path& file) {
  struct statfs info {};
  if (statfs(file.c_str(), &info) != 0) return false;
  const auto type = static_cast<unsigned long>(info.f_type) & 0xFFFFFFFFUL;
  return std::find(kNetworkFileSystems.begin(), kNetworkFileSystems.end(), type) !=
         kNetworkFileSystems.end();
}

Error unknown_version(const Database& database, std::int64_t version) {
  if (version == 0)
    return {
        .kind = ErrorKind::input,
        .what = fmt::format("{} is empty, or was not written by ration", database.file().string()),
        .hint = "`ration db rebuild` makes it again from the run folders"};
  return {.kind = ErrorKind::input,
          .what = fmt::format("{} has schema {}, this program knows {} to {}",
                              database.file().string(),
                              version,
                              kOldestReadable,
                              kSchemaVersion),
          .hint =
              "use the program that wrote it, or make the database again with `ration db "
              "rebuild`"};
}

// Whether a database beside `file` can be written with this journal; false where SQLite takes
// another one.
Result<bool> can_write(const Path& file, const std::string& journal) {
  // Of this process alone: fits and schedulers probe at the same time.
  const Path probe = part_beside(real_files(), file.string() + ".probe");
  const auto clean = [&] {
    for (const char* ending : {"", "-wal", "-shm", "-journal"})
      unlink((probe.string() + ending).c_str());
  };
  clean();
  const Result<bool> written = guarded([&] {
    {
      Database database(probe, Access::write, 1);
      database.execute("PRAGMA synchronous=OFF; CREATE TABLE t(x); PRAGMA journal_mode=" + journal);
    }
    // The connection that chose a journal may go on with the one from before; another cannot.
    Database database(probe, Access::write, 1);
    database.execute("PRAGMA synchronous=OFF; INSERT INTO t VALUES(1)");
    Statement mode = database.prepare("PRAGMA journal_mode");
    return mode.step() && mode.text(0) == journal;
  });
  clean();
  return written;
}

// The answer to journal_mode alone does not tell whether a write-ahead log works: on some file
// systems only the first write fails, and then the database cannot be opened any more. Throws where
// a plain journal fails too: that is a full disk, say, and tells nothing about logs.
bool wal_works(const Path& file) {
  if (can_write(file, "wal").value_or(false)) return true;
  unwrap(can_write(file, "delete"));
  return false;
}

}  // namespace

std::string configure_writer(Database& database) {
  const bool network = on_network(database.file());
  const bool wal = !network && wal_works(database.file());
  database.execute(wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE");
  database.execute(
      "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-65536;"
      "PRAGMA wal_autocheckpoint=20000");
  if (wal) return {};
  return fmt::format(
      "{} lies on {}: use it from one host at a time, or choose a store folder on a local disk",
      database.file().string(),
      network ? "a network file system" : "a file system without shared memory between processes");
}

void ensure_schema(Database& database) {
  if (database.integer("PRAGMA user_version") != 0) return require_schema(database);
  Transaction transaction(database, true);
  database.execute(kTables);
  database.execute(kViews);
  database.execute(kEvalSchema);
  database.execute(kEvalItems);
  database.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  transaction.commit();
}

void require_schema(const Database& database) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (version < kOldestReadable || version > kSchemaVersion)
    throw Failure{unknown_version(database, version)};
}

}  // namespace ration::store
