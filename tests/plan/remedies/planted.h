#pragma once

// Runs whose truth is known: losses of the published law, with seeds' noise.

#include <functional>
#include <string>
#include <vector>

#include "../support.h"
#include "base/random.h"
#include "plan/remedies/price.h"

namespace ration::plan {

inline const fit::Law& published_law() { return *fit::find_law("data-constrained"); }

inline double published_loss(double params, double tokens, double unique) {
  return loss_of(published_law(), kPublished, Params(params), Tokens(tokens), Tokens(unique));
}

// A small sweep at 10 epochs.
inline constexpr Setting kSetting{Params(2.8e9), Tokens(55e9), Tokens(5.5e9)};

struct Planted {
  Setting setting = kSetting;
  std::string size = "3B";
  int seeds = 5;
  double deviation = 0.005;      // of a run, of its own
  double seed_deviation = 0.02;  // of a seed, whatever the arm: pairs are free of it
  double bias = 0.03;            // of the law, whatever the arm
  std::uint64_t seed = 1;
};

// Runs of one arm with this loss, before noise. `number` keeps the noise of arms apart.
inline std::vector<RemedyRun> planted_runs(const std::string& arm,
                                           double loss,
                                           std::uint64_t number,
                                           const Planted& how = {}) {
  std::vector<RemedyRun> runs;
  for (int s = 0; s < how.seeds; ++s) {
    Stream of_seed(how.seed, StreamId::starts, static_cast<std::uint64_t>(s));
    Stream own(how.seed + 1000, StreamId::starts, 100 * number + static_cast<std::uint64_t>(s));
    runs.push_back({.arm = arm,
                    .size = how.size,
                    .seed = s,
                    .params = how.setting.params,
                    .tokens = how.setting.tokens,
                    .unique = how.setting.unique,
                    .loss = Loss(loss + how.bias + how.seed_deviation * of_seed.normal() +
                                 how.deviation * own.normal()),
                    .flops = training_flops(how.setting.params, how.setting.tokens)});
  }
  return runs;
}

inline double baseline_loss(const Setting& setting = kSetting) {
  return published_loss(setting.params.value, setting.tokens.value, setting.unique.value);
}

// The loss of a remedy worth m.
inline double remedied_loss(double multiplier, const Setting& setting = kSetting) {
  return published_loss(
      setting.params.value, setting.tokens.value, multiplier * setting.unique.value);
}

inline void append(std::vector<RemedyRun>& runs, std::vector<RemedyRun> more) {
  runs.insert(runs.end(), more.begin(), more.end());
}

inline const PriceRow* row_of(const PriceList& list, const std::string& arm) {
  for (const PriceRow& row : list.rows)
    if (row.arm == arm) return &row;
  return nullptr;
}

}  // namespace ration::plan
