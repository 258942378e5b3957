#pragma once

// The table [remedies] of a sweep file: which of its blocks are remedies against scarce text, what
// they are measured against, and remedies that go on from trained runs.
//
//   [remedies]
//   baseline = "repeat"              # a [[block]]: the scarce text, repeated
//   law = ["law"]                    # blocks that the law is fitted to, beside the baseline
//   task = "continuations.jsonl"     # pairs that the models choose between
//
//   [[remedies.arm]]                 # a [[block]] of that name
//   name = "code"
//   kind = "mixing"
//
//   [[remedies.arm]]                 # branches of each run of block "half", merged
//   name = "soup"
//   kind = "merge"
//   start = "half"
//   branches = [{tokens = "320Ktok"}, {tokens = "320Ktok"}]
//
//   [[remedies.arm]]                 # trained on from the centroid of branches
//   name = "centroid"
//   kind = "start"
//   start = "broad"
//   branches = [{data = "../data/legal"}, {data = "../data/code"}]
//   finish = {data = "../data/prose", tokens = "1280Ktok"}
//   donors = true

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::study {

// What becomes of each run of a block: branches are trained from it, each with settings of its own,
// and merged; so many rounds; and the result is trained on.
struct RemedyChain {
  std::string start;           // the block
  std::int64_t rounds = 1;     // 1 to 1000; each begins with what the one before merged
  std::vector<Json> branches;  // settings of a run, `data` among them, without a seed; what they
                               // leave out is as the start has it
  Json recipe;                 // how branches are merged: a recipe without names (merge/recipe.h)
  std::optional<Json> finish;  // settings of a run that begins with the merged weights
  bool donors = false;         // what comes before `finish` was trained for other purposes, too
};

struct RemedyArm {
  std::string name;
  std::string kind;                  // of remedy_kinds()
  std::vector<std::string> blocks;   // of ordinary runs; empty for a chain
  std::optional<RemedyChain> chain;  // instead of blocks
  std::vector<std::string> parts;    // kind "combined": the arms that it joins, by names_of()
};

struct RemedyTable {
  std::string baseline;          // a block
  std::vector<std::string> law;  // blocks of the law's runs, the baseline's not among them
  std::vector<RemedyArm> arms;   // in the order of the price list
  std::string task;              // file of pairs, relative to the sweep's; empty = none
};

// Its names in the price list: of several blocks theirs, for each is priced by itself.
std::vector<std::string> names_of(const RemedyArm& arm);

// What a remedy changes, for the price list (plan/remedies/price.h).
const std::vector<std::string>& remedy_kinds();

// Everything that is wrong at once, by key; ErrorKind::usage.
Result<RemedyTable> read_remedy_table(const Json& table, const std::string& file);

}  // namespace ration::study
