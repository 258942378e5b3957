#include <fmt/format.h>

#include <array>

#include "base/hash.h"
#include "run/settings_file.h"
#include "store/database.h"
#include "store/store.h"

namespace ration::store {

std::string cell_key(const run::RunSpec& spec) {
  constexpr std::array<std::string_view, 2> kOfReplicas = {"seed", "subset_seed"};
  if (spec.branch_from.empty())
    return sha256_hex(run::canonical_text(spec, kOfReplicas)).substr(0, 32);
  // Each replica has a trunk of its own; that there is one stays part of the cell.
  run::RunSpec branch = spec;
  branch.branch_from = "trunk";
  return sha256_hex(run::canonical_text(branch, kOfReplicas)).substr(0, 32);
}

std::string cell_key(const run::RunSpec& spec, const std::string& cell_of_init) {
  run::RunSpec tuned = spec;
  const std::size_t at = tuned.init.find('@');
  const std::string step = at == std::string::npos ? "" : tuned.init.substr(at);
  tuned.init = "cell:" + cell_of_init + step;
  return cell_key(tuned);
}

Result<std::vector<Observation>> Reader::observations(const ObservationQuery& query) const {
  std::optional<SweepRow> sweep;
  if (!query.sweep.empty()) {
    Result<SweepRow> found = find_sweep(query.sweep);
    if (!found) return std::move(found).error();
    sweep = std::move(*found);
  }
  return guarded([&] {
    Statement rows = database_->prepare(fmt::format(
        "SELECT r.hash, r.cell, r.config, r.n_block, r.n_embed, r.n_head, r.n_total, "
        "CASE WHEN r.tokens_seen > 0 THEN r.tokens_seen ELSE r.tokens END, r.unique_tokens, "
        "r.epochs, r.final_loss, r.best_loss, r.flops_kaplan, r.flops_6nd, r.flops_6nd_head, "
        "r.flops, r.flops_palm, r.flops_chinchilla, r.state, "
        "(SELECT s.name FROM sweep_runs m JOIN sweeps s ON s.id = m.sweep WHERE m.run = r.id "
        "ORDER BY s.used DESC, s.id DESC LIMIT 1) "
        "FROM {} r.state IN (2, {}) AND (r.state = 3 OR r.final_loss IS NOT NULL) ORDER BY r.hash",
        sweep ? "sweep_runs w JOIN runs r ON r.id = w.run WHERE w.sweep = ? AND"
              : "runs r WHERE ? IS NULL AND",
        query.include_diverged ? 3 : 2));
    rows.bind(sweep ? std::optional<std::int64_t>(sweep->id) : std::nullopt);
    std::vector<Observation> observations;
    while (rows.step()) {
      const std::string file = database_->file().string();
      Observation& row = observations.emplace_back();
      row.run = rows.blob_as_hex(0);
      row.cell = rows.blob_as_hex(1);
      row.spec = unwrap(run::spec_from_json(unwrap(parse_json(rows.text(2), file)), file));
      row.params = {.block = rows.real(3),
                    .embed = rows.real(4),
                    .head = rows.real(5),
                    .total = rows.real(6)};
      row.tokens = rows.real(7);
      row.unique_tokens = rows.real(8);
      row.epochs = rows.real(9);
      row.final_loss = rows.real(10);
      row.best_loss = rows.real(11);
      for (std::size_t i = 0; i < row.flops.size(); ++i)
        row.flops[i] = rows.real(12 + static_cast<int>(i));
      row.diverged = static_cast<RunState>(rows.integer(18)) == RunState::diverged;
      row.sweep = sweep ? sweep->name : rows.text(19);
    }
    return observations;
  });
}

}  // namespace ration::store
