#pragma once

// Which column of a table holds what, and in which unit: as told, or guessed from its name. Each
// guess is a line for people that names the option which would overrule it.

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fit/csv.h"
#include "fit/loss_unit.h"

namespace ration::import {

enum class Role {
  run,              // name of the run
  step,             // of the optimiser, or what the tracker counts
  params,           // N
  tokens,           // D, repeats included
  unique,           // U
  epochs,           // D/U
  loss,             // held out
  loss_unit,        // of the row
  weight,           // of the row in a fit
  state,            // of the run: finished, crashed, …
  batch,            // sequences a step
  length,           // tokens a sequence
  tokens_per_step,  // their product
};
inline constexpr std::size_t kRoles = 13;

// "params", …, "unique_tokens": as --column and --unit spell them.
std::string_view name_of(Role role);

using Pairs = std::vector<std::pair<std::string, std::string>>;  // role, and column or unit

struct ColumnOptions {
  Pairs columns = {};
  // Units by role. params, tokens, unique_tokens: 1, thousands, millions, billions, trillions;
  // tokens also steps and epochs; epochs: 1, percent; loss: fit/loss_unit.h, or column, which
  // takes each row's unit from its column loss_unit.
  Pairs units = {};
  std::string loss_key = {};  // the loss column, as --column loss= has it
};

struct Guess {
  std::string role;
  std::string file;
  std::string column;  // empty for what no column says
  std::string unit;
  std::string text;  // one line
};

enum class TokensIn { tokens, steps, epochs };

struct Column {
  int index = -1;     // -1: there is none
  bool told = false;  // by an option
  double scale = 1;   // of its numbers, to ones
  bool unit_told = false;
  TokensIn tokens_in = TokensIn::tokens;
  fit::LossUnit loss_unit = fit::LossUnit::nats;
  bool unit_by_row = false;

  explicit operator bool() const { return index >= 0; }
};

struct Columns {
  std::array<Column, kRoles> by_role;
  std::vector<Guess> guesses;
  std::vector<std::pair<Role, Error>> missing;  // told columns that the table does not have

  const Column& operator[](Role role) const { return by_role[static_cast<std::size_t>(role)]; }
  Column& operator[](Role role) { return by_role[static_cast<std::size_t>(role)]; }
};

// Problems of the options alone: unknown roles and units.
std::vector<Error> check(const ColumnOptions& options);

// Missing columns are no error here, for another source may have them.
Columns find_columns(const fit::Csv& csv, const ColumnOptions& options);

}  // namespace ration::import
