#pragma once

// A table of runs made anywhere: columns found by name, every unusable cell reported.
//
//   Result<Csv> csv = parse_csv(text, "runs.csv");
//   Result<RunTable> table = read_runs(*csv, {.where = "split=fit"});
//   Result<Fit> fit = fit_law(table->runs, {});
//
// Columns (the first name that exists is taken; upper and lower case are the same):
//   params         params, parameters, n_params, model_params, num_params, n
//   tokens         tokens, total_tokens, training_tokens, train_tokens, tokens_seen, d
//   unique_tokens  unique_tokens, tokens_unique, unique, u; without it tokens / epochs; without
//                  that tokens
//   loss           loss, val_loss, validation_loss, eval_loss, final_loss, loss_nats, heldout_loss
//   weight         weight; without it 1
//   run            run_id, run: rows of one run are its checkpoints and share one weight
//   group          only when named: rows that are resampled together
//   loss_unit      loss_unit, loss_units: every row must say nats

#include <string>
#include <utility>
#include <vector>

#include "fit/csv.h"
#include "fit/fit.h"

namespace ration::fit {

struct TableOptions {
  // Columns by role (params, tokens, unique_tokens, loss) where the names above do not fit.
  std::vector<std::pair<std::string, std::string>> columns = {};

  // Rows to take (where.h); empty = all.
  std::string where = {};

  // Leave out rows whose column `outlier` holds 1.
  bool drop_outliers = false;

  // Whether a loss is asked for: a fit needs one, a prediction does not.
  bool need_loss = true;
};

struct RunTable {
  std::vector<Observation> runs;  // loss 0 where none was asked for
  std::vector<std::size_t> rows;  // the row of `csv.rows` behind each run
  std::size_t left_out = 0;       // rows that `where` or `drop_outliers` did not take
  std::size_t several_rows = 0;   // runs that several rows, their checkpoints, belong to
  std::size_t outliers_kept = 0;  // rows flagged as outliers that are among the runs
  bool units_said = false;        // a column says of every loss that it is in nats
};

// Errors (ErrorKind::input or usage, every problem with its place): missing columns, cells that are
// not numbers, NaN, infinite, zero or negative numbers, fewer tokens than unique tokens, losses
// that a column (its name, or a column loss_unit) says are not nats.
Result<RunTable> read_runs(const Csv& csv, const TableOptions& options = {});

// Whether a law can be fitted to the table at all. Errors (ErrorKind::input) name the rows: one
// run, losses that are all equal, perplexities (loss_unit.h) or bits (mixed_units.h) among nats.
Result<void> check_for_fit(const Csv& csv, const RunTable& table);

}  // namespace ration::fit
