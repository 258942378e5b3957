#pragma once

// Runs made by other tools, as a table that a fit reads without any option.
//
//   Result<Imported> imported = import_runs(real_files(), {"runs/"}, {.name =
//   "{params}-{tokens}"}); if (!imported) return std::move(imported).error(); for (const Guess&
//   guess : imported->guesses) note(guess.text); write(to_csv(*imported));
//
// Where a run's numbers come from, the first that knows: a column that was named for it; tokens a
// step times the step; the side table; the pattern of its name; a column whose name fits; for
// tokens, step x batch x length where columns of these names exist.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "import/columns.h"
#include "import/source.h"

namespace ration::import {

enum class Pick { last, best };

struct Options {
  Format from = Format::automatic;
  ColumnOptions columns = {};

  // Rows to take, as fit/where.h has it; empty = all. Every table needs the columns that it names.
  std::string where = {};

  // Pattern of the runs' names (number.h), such as "{params}-{tokens}-{unique}"; empty = none.
  std::string name = {};

  // A table with a row a run, found by the run's name; empty = none.
  Path side_table = {};

  // Tokens of a step of the optimiser, above 0; tokens = step times this.
  std::optional<double> tokens_per_step = {};

  // Bytes of text a token, above 0, as bits per byte need it: 4 to 5 for English under
  // vocabularies of 30,000 to 130,000 words. No default: it is a property of the tokenizer.
  std::optional<double> bytes_per_token = {};

  // All logged points of each run instead of one.
  bool checkpoints = false;

  // Share of each run's length whose points are no checkpoints, 0 to below 1. The first tenth:
  // warm-up of the learning rate and the fall from ln(vocabulary) follow no scaling law.
  double drop_first = 0.1;

  // The point that stands for a run without `checkpoints`: its last, which is what laws describe,
  // or the one of the lowest loss, which is lower by luck the more points there are.
  Pick pick = Pick::last;

  // Keep runs whose state is not finished (crashed, failed, killed, running).
  bool unfinished = false;
};

// All problems of the options; empty when they are sound.
std::vector<Error> check(const Options& options);

struct ImportedRun {
  std::string run;
  double params = 0, tokens = 0, unique = 0;
  double loss = 0;  // nats a token
  double weight = 1;
  std::optional<double> step;
};

struct Imported {
  std::vector<ImportedRun> runs;  // points, where checkpoints are kept; in the order of the files
  std::vector<Guess> guesses;
  std::vector<std::string> notes;
};

// Errors: check(options); files that cannot be read (source.h); told columns that no table has;
// runs whose params, tokens or loss nobody knows; numbers that are not finite or not above 0, fewer
// tokens than unique ones, units of loss that are mixed. All problems of all rows are reported,
// each with file, line and run.
Result<Imported> import_runs(Files& files,
                             const std::vector<Path>& paths,
                             const Options& options = {});

// The columns params, tokens, unique_tokens, loss, run, epochs, then step and weight where a row
// has them; numbers in the fewest digits that read back the same.
std::string to_csv(const Imported& imported);

// The document ration.import/1: runs, guesses, notes.
Json to_json(const Imported& imported);

}  // namespace ration::import
