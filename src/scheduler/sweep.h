#pragma once

// From a sweep file (TOML or JSON, docs/sweeps.md) to the list of runs that it asks for.
//
//   Result<Sweep> sweep = read_sweep(text, "quickstart.toml");
//   Result<Expansion> plan = expand(*sweep, real_files());
//   for (const PlannedRun& run : plan->runs) …run.id, run.spec, run.execution…
//
// Errors are ErrorKind::usage with file, line, column and the line itself, all problems of a pass
// in one (Error::causes); prepared data that is missing or too small is ErrorKind::input. Nothing
// is written. Cost: about 30 microseconds a run, hashes included.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "run/spec.h"
#include "run/weights.h"
#include "scheduler/stop_rules.h"
#include "scheduler/study.h"

namespace ration::scheduler {

// The compiled form of a sweep file; private to the room.
struct Definition;

// A sweep file that was read and understood; its values and expressions have been checked one by
// one, their combinations not yet.
struct Sweep {
  std::string name;    // [A-Za-z0-9][A-Za-z0-9_.-]{0,63}; by default the file's name without ending
  std::string file;    // as given to read_sweep; messages and the place of relative paths
  std::string source;  // the text as it was read
  std::string sha256;  // of `source`
  // [goal]: what is to be planned with the runs, as text by key ("budget" -> "1e15flop"). Nothing
  // here reads the values; the commands that plan do.
  std::map<std::string, std::string> goal = {};
  StopRules stop = {};  // [stop]
  // [merge], [fuse] or [region]: what is to be done with the trained runs, for the command of that
  // name. Nothing here reads the table.
  std::optional<Study> study = {};
  bool has_runs = true;  // false: a study alone, which expand() would refuse
  // Of its share beside other sweeps of one command, above 0 to 1e6: twice the weight, twice the
  // room.
  double weight = 1;
  std::shared_ptr<const Definition> definition;  // shared: immutable, and sweeps are copied
};

// Reads a sweep. JSON when the first character that is not blank is `{`, else TOML. Refused before
// parsing: TOML over 1 MiB or JSON over 16 MiB, NUL, and in TOML any byte outside ASCII.
Result<Sweep> read_sweep(std::string_view text, const std::string& file);

// What follows from a run's settings and is worth a column.
struct Facts {
  double params = 0;   // each stored number once
  double n_block = 0;  // layers and final norm
  double epochs = 0;   // tokens / unique_tokens
  double steps = 0;    // optimiser steps
  double flops = 0;    // of the training, convention `exact`; of a branch, its own part
};

// One run of a sweep, ready to be written as run.json.
struct PlannedRun {
  std::string id;            // run::run_id(spec)
  run::RunSpec spec;         // resolved and checked
  run::Execution execution;  // checked; `data` is an absolute path
  std::map<std::string, run::Value>
      tags;  // values on the sweep's axes (units read: "131Ktok" is 131000), and epochs
  std::int64_t replica = 0;   // which of `seeds`
  std::int64_t ordinal = 0;   // place in the file's order, 0 …, duplicates not counted
  std::int64_t priority = 0;  // larger first
  Facts facts;
  std::string block = {};  // the name of its [[block]]; may be empty
  // Weights of other runs that it begins with, or evaluates.
  std::vector<run::Weights> needs = {};
  bool needed = false;  // another run of the command needs its weights: it is never stopped early
};

// An axis as the user wrote it: one key of [grid], the keys of [zip] together, or [[list]].
struct AxisSize {
  std::string name;  // "width", "width,lr", "list"
  std::int64_t size = 0;
};

struct Expansion {
  std::vector<PlannedRun> runs;    // by priority, then in the file's order; ids are distinct
  std::vector<AxisSize> axes;      // in the file's order
  std::int64_t points = 0;         // combinations times replicas, before anything is left out
  std::int64_t excluded = 0;       // left out by `exclude`, `when` or ExpandOptions::only
  std::int64_t merged = 0;         // points that are the same run as an earlier one
  std::vector<std::string> notes;  // for people: what was merged, what was rounded
};

struct ExpandOptions {
  // Most points a sweep may have before anything is left out, 1 to 2^20; a larger one is refused
  // with its size and its largest axes. Larger sweeps are usually a mistake.
  std::int64_t max_runs = 100'000;
  // Folder that a relative `data` path starts from; empty: the folder of the sweep file, so that a
  // sweep means the same wherever it is started.
  Path base = {};
  // Prepared data to use instead of the file's `data`, relative to the current folder; empty: the
  // file's.
  std::string data = {};
  // Keep only the runs for which this expression is true, for example "width >= 32 and epochs < 4".
  std::string only = {};
};

// The text of a small commented sweep over `data`, to start from.
std::string starter_sweep(const std::string& data);

// All runs of a sweep. Reads the manifest of the prepared data (vocabulary, digest, tokens that are
// there) and nothing else.
Result<Expansion> expand(const Sweep& sweep, Files& files, const ExpandOptions& options = {});

}  // namespace ration::scheduler
