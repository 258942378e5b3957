#pragma once

// The table [region] of a sweep file: what is asked about where fine-tuned models lie.
//
//   Result<RegionTable> table = region_table(sweep.study->table, sweep.file);
//
//   [region]
//   base = "base"
//   family = { legal = "prose", essays = "prose", pystd = "code", boost = "code" }
//   [region.centroid]
//   tokens = ["8Ktok", "32Ktok"]

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::study {

// [region.centroid]: fine-tunes each corpus from the centroid of the models of all other corpora,
// from the base, and from the best single model of another corpus.
struct CentroidTable {
  std::vector<std::int64_t> tokens;         // budgets, each above 0; needed
  std::vector<std::string> tune = {"all"};  // settings of `tune`
  double lr = 0;                            // 0 = that of the corpus's models
  std::int64_t seeds = 3;                   // 1 to 1000; the same order of text for all starts
  std::int64_t replicas = 0;                // models of each corpus that are averaged, 0 = all
  // Of each corpus, a block of one run: another start, such as the base trained on for as many
  // tokens as the averaged models saw. It should know no text of the corpus.
  std::map<std::string, std::string> control = {};
};

struct RegionTable {
  std::string base = "base";         // block of theta_0, of one run
  std::string second_start = {};     // block of another theta_0; empty = none
  std::vector<std::string> amounts;  // blocks of models that differ in the amount of text
  std::map<std::string, std::string> family = {};  // of each corpus; empty = no families
  std::int64_t lines = 8;                          // pairs of each kind, 1 to 1000
  std::int64_t hull_samples = 64;                  // of each region, 2 to 4096
  std::int64_t controls = 8;  // models of each kind that no training made, 0 to 1000 a region
  std::int64_t windows = 0;   // held-out windows a corpus to report on; 0 = half of them
  std::int64_t permutations = 10'000;  // of labels, 100 to 1e6
  std::int64_t draws = 2'000;          // of each bootstrap, 100 to 1e6
  std::int64_t seed = 0;               // of pairs, samples, controls, permutations, bootstraps
  std::int64_t parts = 4;  // runs that the points are dealt to, 1 to 1024; part of their identity
  std::string probe = "none";  // none | head_bias: a logit bias is fitted before each evaluation
  std::optional<CentroidTable> centroid = {};
};

// All problems in one ErrorKind::usage: unknown keys, other types, values out of range.
Result<RegionTable> region_table(const Json& table, const std::string& file);

}  // namespace ration::study
