// From the schema of an older program to this one's.

#include <fmt/format.h>

#include <array>

#include "base/fault.h"
#include "store/backup.h"
#include "store/eval_schema.h"
#include "store/schema.h"

namespace ration::store {
namespace {

// steps[i] leads from version i + 1 to i + 2. A step that was released is never changed.
constexpr std::array<const char*, kSchemaVersion - 1> kSteps = {
    // Questions about one run by its id no longer read all runs and points.
    "CREATE INDEX runs_by_text ON runs(lower(hex(hash)))",
    // Names of the states 7 and 8.
    R"sql(
DROP VIEW v_runs;
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
)sql",
    // A row for each setting of each run, which nothing ever read: `runs` holds them as JSON.
    "DROP TABLE run_params",
    // Evaluations of pairs.
    kEvalSchema,
    // Which items the choices are of.
    kEvalItems,
};

}  // namespace

std::string migrate(Database& database, Files& files) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (version >= kSchemaVersion) return {};
  const Path copy = fmt::format("{}.schema-{}", database.file().string(), version);
  copy_database(database, files, copy);
  fault_point("migrate-after-backup");
  Transaction transaction(database, true);
  for (auto step = static_cast<std::size_t>(version) - 1; step < kSteps.size(); ++step)
    database.execute(kSteps[step]);
  database.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  fault_point("migrate-before-commit");
  transaction.commit();
  return fmt::format("{} was brought from schema {} to {}; {} is as it was before",
                     database.file().string(),
                     version,
                     kSchemaVersion,
                     copy.filename().string());
}

}  // namespace ration::store
