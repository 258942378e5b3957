#include "study/remedies/chain.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace ration::study {
namespace {

// What a run is by its own beginning and text, and no setting of training.
constexpr std::array<std::string_view, 13> kOwn = {"data_digest",
                                                   "vocab",
                                                   "seed",
                                                   "branch_from",
                                                   "branch_step",
                                                   "init",
                                                   "points",
                                                   "numerics",
                                                   "aux",
                                                   "aux_share",
                                                   "aux_schedule",
                                                   "policy",
                                                   "mix_order"};
constexpr std::array<std::string_view, 3> kOfText = {"unique_tokens", "subset_seed", "val_tokens"};
constexpr std::int64_t kHeldOutWindows = 64;  // of text that nobody judges by
constexpr std::int64_t kSeedsApart = 1'000'000;

std::string block_name(std::size_t start, std::size_t branch) {
  return fmt::format("s{}-b{}", start, branch);
}

// What is known of a start on its way.
struct State {
  std::string init;  // as a setting
  Path weights;
  double tokens = 0, flops = 0;
  bool lost = false;  // a run diverged
};

class Chain {
 public:
  Chain(const RemedyChain& chain,
        std::span<const ChainStart> starts,
        const ChainPlace& place,
        const ChainSteps& steps)
      : chain_(chain), starts_(starts), place_(place), steps_(steps), states_(starts.size()) {}

  Result<std::vector<ChainEnd>> carry_out() {
    for (std::size_t i = 0; i < starts_.size(); ++i) {
      Result<Path> weights = steps_.weights_of(starts_[i].run);
      if (!weights) return std::move(weights).error();
      states_[i] = {.init = "run:" + starts_[i].run,
                    .weights = std::move(*weights),
                    .tokens = static_cast<double>(starts_[i].spec.tokens),
                    .flops = starts_[i].flops};
    }
    if (!chain_.branches.empty())
      for (std::int64_t round = 0; round < chain_.rounds; ++round)
        if (Result<void> done = fuse(round); !done) return std::move(done).error();
    return chain_.finish ? finish() : Result<std::vector<ChainEnd>>(merged());
  }

 private:
  // The runs of a sweep by their blocks; charges them to their starts.
  Result<std::map<std::string, TrainedRun>> train(std::span<const Json> branches,
                                                  std::int64_t round) {
    std::vector<std::string> inits;
    for (const State& state : states_) inits.push_back(state.lost ? "" : state.init);
    Result<std::vector<TrainedRun>> runs =
        steps_.train(round_sweep(starts_, inits, branches, round, place_));
    if (!runs) return std::move(runs).error();
    std::map<std::string, TrainedRun> by_block;
    for (TrainedRun& run : *runs) by_block[run.block] = std::move(run);
    for (std::size_t i = 0; i < states_.size(); ++i)
      for (std::size_t b = 0; b < branches.size() && !states_[i].lost; ++b) {
        const auto run = by_block.find(block_name(i, b));
        if (run == by_block.end())
          return Error{.kind = ErrorKind::internal,
                       .what = fmt::format("{}: a run did not come back", place_.name)};
        states_[i].tokens += static_cast<double>(run->second.tokens);
        states_[i].flops += run->second.flops;
        states_[i].lost = !std::isfinite(run->second.loss);
      }
    return by_block;
  }

  Result<void> fuse(std::int64_t round) {
    steps_.note(fmt::format("{}: round {} of {}", place_.name, round + 1, chain_.rounds));
    Result<std::map<std::string, TrainedRun>> runs = train(chain_.branches, round);
    if (!runs) return std::move(runs).error();
    for (std::size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      if (state.lost) continue;
      std::vector<Path> models;
      for (std::size_t b = 0; b < chain_.branches.size(); ++b) {
        Result<Path> weights = steps_.weights_of(runs->at(block_name(i, b)).run);
        if (!weights) return std::move(weights).error();
        models.push_back(std::move(*weights));
      }
      Path merged = place_.folder / fmt::format("{}-replica-{}-round-{}.safetensors",
                                                starts_[i].size,
                                                starts_[i].replica,
                                                round + 1);
      if (Result<void> done = steps_.merge(chain_.recipe, state.weights, models, merged); !done)
        return std::move(done).error();
      state.init = "file:" + merged.string();
      state.weights = std::move(merged);
    }
    return {};
  }

  Result<std::vector<ChainEnd>> finish() {
    std::vector<State> before = states_;
    if (chain_.donors)
      for (State& state : states_) state.tokens = state.flops = 0;
    steps_.note(fmt::format("{}: training on", place_.name));
    Result<std::map<std::string, TrainedRun>> runs =
        train(std::span<const Json>(&*chain_.finish, 1), chain_.rounds);
    if (!runs) return std::move(runs).error();
    std::vector<ChainEnd> ends;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].lost) continue;
      const TrainedRun& run = runs->at(block_name(i, 0));
      Result<Path> weights = steps_.weights_of(run.run);
      if (!weights) return std::move(weights).error();
      ends.push_back({.start = i,
                      .weights = std::move(*weights),
                      .run = run.run,
                      .loss = run.loss,
                      .tokens = states_[i].tokens,
                      .flops = states_[i].flops,
                      .donors = chain_.donors ? before[i].flops : 0});
    }
    return ends;
  }

  std::vector<ChainEnd> merged() const {
    std::vector<ChainEnd> ends;
    for (std::size_t i = 0; i < states_.size(); ++i)
      if (!states_[i].lost)
        ends.push_back({.start = i,
                        .weights = states_[i].weights,
                        .loss = std::numeric_limits<double>::quiet_NaN(),
                        .tokens = states_[i].tokens,
                        .flops = states_[i].flops});
    return ends;
  }

  const RemedyChain& chain_;
  std::span<const ChainStart> starts_;
  const ChainPlace& place_;
  const ChainSteps& steps_;
  std::vector<State> states_;
};

}  // namespace

Json settings_of_branch(const ChainStart& start, const Json& more, const Path& base) {
  Json settings = run::to_json(start.spec);
  for (const std::string_view name : kOwn) settings.erase(std::string(name));
  keep_execution(start.execution, settings);
  for (auto it = settings.begin(); it != settings.end();)
    it = it.key().starts_with("policy_") || it.key() == "reward_params" ? settings.erase(it)
                                                                        : std::next(it);
  settings["data"] = start.execution.data;
  if (more.contains("data")) {
    Path data = more["data"].get<std::string>();
    if (data.is_relative()) data = base / data;
    const std::string text = std::filesystem::absolute(data).lexically_normal().string();
    if (text != Path(start.execution.data).lexically_normal().string()) {
      for (const std::string_view name : kOfText) settings.erase(std::string(name));
      settings["val_tokens"] = kHeldOutWindows * start.spec.context;
    }
    settings["data"] = text;
  }
  for (const auto& [key, value] : more.items())
    if (key != "data") settings[key] = value;
  return settings;
}

Json round_sweep(std::span<const ChainStart> starts,
                 std::span<const std::string> inits,
                 std::span<const Json> branches,
                 std::int64_t round,
                 const ChainPlace& place) {
  Json blocks = Json::array();
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (inits[i].empty()) continue;
    for (std::size_t b = 0; b < branches.size(); ++b) {
      Json settings = settings_of_branch(starts[i], branches[b], place.base);
      settings["init"] = inits[i];
      settings["seed"] =
          kSeedsApart * (round + 1) + 1000 * static_cast<std::int64_t>(b) + starts[i].replica;
      const Json data = settings["data"];
      settings.erase("data");
      blocks.push_back(
          {{"name", block_name(i, b)}, {"data", data}, {"fixed", std::move(settings)}});
    }
  }
  return {{"name", fmt::format("{}-{}", place.name, round + 1)},
          {"vary_subset", false},
          {"block", std::move(blocks)}};
}

Result<std::vector<ChainEnd>> carry_out_chain(const RemedyChain& chain,
                                              std::span<const ChainStart> starts,
                                              const ChainPlace& place,
                                              const ChainSteps& steps) {
  return Chain(chain, starts, place, steps).carry_out();
}

}  // namespace ration::study
