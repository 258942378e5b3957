#pragma once

// A sweep file, understood: blocks of axes over names, with the values and expressions that give
// each name its value.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/expression.h"
#include "scheduler/names.h"
#include "scheduler/source_text.h"
#include "scheduler/stop_rules.h"
#include "scheduler/study.h"

namespace ration::scheduler {

// What the file gives to one name: a value, or an expression of [derive].
struct Given {
  int slot = 0;
  Place place;                                             // of the value
  run::Value value = {};                                   // of the setting's type, in range
  std::shared_ptr<const Expression> expression = nullptr;  // shared by the blocks that inherit it
};

// Values that are taken together: one of [grid], a row of [zip] or of [[list]].
using Row = std::vector<Given>;

struct Axis {
  std::string name;             // "width", "width,lr", "list"
  std::vector<int> slots = {};  // of all names that some row gives
  std::vector<Row> rows = {};
  bool branches = false;  // of [trunk]: the shorter runs branch off the longest
  Place place = {};       // of [trunk]
};

// A condition on points: `when` of a block, or `exclude`.
struct Filter {
  std::shared_ptr<const Expression> expression;
  bool keep = true;  // whether points are kept, or left out, where it is true
};

// One [[block]] with all that it inherits from the top of the file. The points of a block are the
// product of its axes, the first axis varying slowest, and of its replicas.
struct Block {
  Place place;            // of the block's first key; line 0 for a file without blocks
  std::string name = {};  // for `init` of other blocks; may be empty
  std::vector<std::shared_ptr<const Given>> base;  // by slot: [fixed] and [derive]; null: default
  std::vector<std::shared_ptr<const Axis>> axes;
  std::vector<std::shared_ptr<const Expression>> when;  // by slot; null: always
  std::vector<Filter> filters;
  std::vector<std::int64_t> replicas = {0};
  std::shared_ptr<const Expression> priority_expression = nullptr;
  std::int64_t priority = 0;
  bool vary_subset = true;  // replicas take different texts
};

// One [sources.NAME] table: auxiliary data that `aux` may name.
struct SourceTable {
  Place place;
  std::string data;  // folder, relative to the sweep file's
  double weight = 1;
  std::int64_t unique_tokens = 0;  // 0: all
  double max_epochs = 0;           // 0: no cap
};

struct Definition {
  std::shared_ptr<const SourceText> source;  // shared with the expressions, for their messages
  Names names;
  std::string name;                              // of the sweep
  std::map<std::string, std::string> goal = {};  // Sweep::goal
  StopRules stop = {};                           // Sweep::stop
  double weight = 1;                             // Sweep::weight
  std::map<std::string, SourceTable> sources = {};
  std::vector<Block> blocks = {};
  std::optional<Study> study = {};  // Sweep::study
  bool has_runs = true;             // Sweep::has_runs
};

// `source` as a sweep. All problems of the file in one error.
Result<Definition> read_definition(std::shared_ptr<const SourceText> source);

}  // namespace ration::scheduler
