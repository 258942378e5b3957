#pragma once

// Runs of remedies beside the runs of the baseline that they are compared with. Private to the
// folder.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/remedies/price.h"

namespace ration::plan {

// All pairs of one arm at one baseline setting.
struct Pairs {
  const Arm* arm = nullptr;
  std::string size;
  Setting baseline;
  std::size_t cell = 0;             // number of the setting: arms of one cell share their draws
  std::vector<std::int64_t> seeds;  // ascending
  std::vector<double> differences;  // of the loss, by seed
  std::vector<double> scores;       // differences of the task's score, of the pairs that have both
  double tokens = 0;                // mean seen by the arm's runs
  std::optional<double> added;      // mean of the tokens of other domains among them
  std::optional<double> kept;       // mean share of the unique tokens
  double flops = 0, donors = 0;     // means of the arm's runs
  double baseline_flops = 0;        // mean of their partners
};

// Scores of the baseline's runs of one size and length, by unique tokens.
using Scores = std::map<double, std::vector<double>>;

struct Matched {
  std::vector<Pairs> pairs;  // by N, size, arm, D, U
  std::vector<std::string> notes;
};

// A run's partner has its size, unique tokens and seed, and of those the nearest number of tokens.
// Errors: as in price().
Result<Matched> match(std::span<const RemedyRun> runs,
                      const std::string& baseline,
                      std::span<const Arm> arms);

Scores scores_of(std::span<const RemedyRun> runs,
                 const std::string& baseline,
                 const std::string& size,
                 Tokens tokens);

}  // namespace ration::plan
