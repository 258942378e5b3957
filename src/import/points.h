#pragma once

// The rows of a table as points of runs: numbers in ones and nats, nothing decided yet about which
// row stands for a run.

#include <optional>
#include <string>
#include <vector>

#include "import/columns.h"
#include "import/source.h"

namespace ration::import {

struct Point {
  std::size_t source = 0, row = 0;
  std::string run;
  std::optional<double> step, params, tokens, unique, epochs, weight;
  std::optional<double> tokens_per_step;  // from columns of batch and length
  std::optional<double> loss;             // nats a token
  double raw_loss = 0;                    // as it stands there
};

// A source with what its columns hold.
struct Table {
  Source source;
  Columns columns;
  bool history = false;  // rows are points of runs; else each row is a run
  std::size_t left_out = 0, unfinished = 0;

  SourceRef place(std::size_t row, Role role) const;
};

struct PointOptions {
  ColumnOptions columns = {};
  std::string where = {};
  std::optional<double> tokens_per_step = {};
  std::optional<double> bytes_per_token = {};
  bool unfinished = false;
  bool need_loss = true;
};

// Finds the columns, decides whether rows are runs, guesses perplexities where no value could be
// nats. An error comes from `where`.
Result<Table> describe(Source source, const PointOptions& options);

// Problems (cells that are no numbers, units that are missing or mixed) are added to `problems`.
std::vector<Point> points_of(Table& table,
                             std::size_t number,
                             const PointOptions& options,
                             std::vector<Error>& problems);

}  // namespace ration::import
