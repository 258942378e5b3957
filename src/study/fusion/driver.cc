#include "study/fusion/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "study/fusion/measures.h"

namespace ration::study {
namespace {

Result<FusedArm> fuse_one(const fuse::Config& config,
                          const std::string& arm,
                          std::int64_t seed,
                          const FusionGround& ground,
                          const FusionSteps& steps) {
  steps.note(fmt::format("{}, seed {}", arm, seed));
  fuse::Config own = config;
  own.seed = static_cast<std::uint64_t>(seed);
  Result<std::vector<fuse::RoundRecord>> rounds =
      steps.fuse(own, fmt::format("{}/{}/seed-{}", ground.name, arm, seed));
  if (!rounds) return std::move(rounds).error().with_context(fmt::format("{}, seed {}", arm, seed));
  if (rounds->empty())
    return Error{.kind = ErrorKind::internal,
                 .what = fmt::format("{}, seed {}: a fusion without rounds", arm, seed)};
  return FusedArm{.arm = arm, .seed = seed, .rounds = std::move(*rounds)};
}

Result<void> fuse_arms(const FusionStudy& study,
                       const FusionGround& ground,
                       const FusionSteps& steps,
                       FusionFindings& found) {
  for (const FusionArm& arm : study.arms)
    for (const std::int64_t seed : study.evaluate.seeds) {
      Result<FusedArm> fused = fuse_one(arm.config, arm.name, seed, ground, steps);
      if (!fused) return std::move(fused).error();
      if (&arm == &study.arms.front()) found.tokens[seed] = fused->tokens();
      found.fusions.push_back(std::move(*fused));
    }
  if (!study.controls.one_shot) return {};
  for (const std::int64_t seed : study.evaluate.seeds) {
    Result<fuse::Config> once =
        one_shot(study.arms.front().config, found.tokens[seed], ground.context);
    if (!once) return std::move(once).error();
    Result<FusedArm> fused = fuse_one(*once, std::string(kOneShot), seed, ground, steps);
    if (!fused) return std::move(fused).error();
    found.fusions.push_back(std::move(*fused));
  }
  return {};
}

// Adds the results of the controls that are ordinary runs.
Result<void> train_controls(const FusionStudy& study,
                            const FusionGround& ground,
                            const FusionSteps& steps,
                            const FusionFindings& found,
                            const FusionWeights& start,
                            std::vector<FusionBase>& bases) {
  const std::optional<Json> sweep = controls_sweep(study, ground, start, found.tokens);
  if (!sweep) return {};
  steps.note("controls");
  Result<std::vector<TrainedRun>> runs = steps.train(*sweep);
  if (!runs) return std::move(runs).error();
  const auto add = [&](std::string_view arm, std::int64_t seed, const std::string& block) {
    const auto run = std::find_if(
        runs->begin(), runs->end(), [&](const TrainedRun& r) { return r.block == block; });
    if (run == runs->end()) return false;
    bases.push_back({.arm = std::string(arm),
                     .seed = seed,
                     .round = study.arms.front().config.rounds,
                     .last = true,
                     .base = {.weights = {.run = run->run, .step = 0, .sha256 = {}}, .file = {}}});
    return true;
  };
  const std::size_t contributors = study.arms.front().config.contributors.size();
  for (const auto& [seed, tokens] : found.tokens) {
    std::vector<std::int64_t> parts = shares(tokens, contributors, ground.context);
    const auto visits = static_cast<std::size_t>(
        std::count_if(parts.begin(), parts.end(), [](std::int64_t part) { return part > 0; }));
    const bool there =
        (!study.controls.multitask || add(kMultitask, seed, multitask_block(seed))) &&
        (!study.controls.sequential || visits == 0 ||
         add(kSequential, seed, sequential_block(seed, visits - 1)));
    if (!there)
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("a control of seed {} did not come back", seed)};
  }
  return {};
}

std::vector<FusionBase> fused_bases(const FusionStudy& study, const FusionFindings& found) {
  const FusedArm& first = found.fusions.front();
  std::vector<FusionBase> bases;
  for (const std::int64_t seed : study.evaluate.seeds)
    bases.push_back({.arm = std::string(kNoFusion),
                     .seed = seed,
                     .round = 0,
                     .last = true,
                     .base = bases_of(first).front().base});
  for (const FusedArm& fused : found.fusions)
    for (FusionBase& base : bases_of(fused)) bases.push_back(std::move(base));
  return bases;
}

}  // namespace

std::int64_t FusedArm::tokens() const {
  std::int64_t sum = 0;
  for (const fuse::RoundRecord& round : rounds) sum += round.tokens();
  return sum;
}

std::vector<FusionBase> bases_of(const FusedArm& fused) {
  const auto base = [&](std::int64_t round, const std::string& sha256, const Path& file) {
    return FusionBase{
        .arm = fused.arm,
        .seed = fused.seed,
        .round = round,
        .last = false,
        .base = {.weights = {.run = {}, .step = 0, .sha256 = sha256}, .file = file.string()}};
  };
  std::vector<FusionBase> bases = {
      base(0, fused.rounds.front().base, fused.rounds.front().base_file)};
  for (const fuse::RoundRecord& round : fused.rounds)
    bases.push_back(base(round.round, round.next, round.next_file));
  bases.back().last = true;
  return bases;
}

Result<FusionFindings> carry_out_fusion(const FusionStudy& study,
                                        const FusionGround& ground,
                                        const FusionSteps& steps) {
  FusionFindings found;
  if (Result<void> done = fuse_arms(study, ground, steps, found); !done)
    return std::move(done).error();
  std::vector<FusionBase> bases = fused_bases(study, found);
  const FusionWeights start = bases.front().base;
  if (Result<void> done = train_controls(study, ground, steps, found, start, bases); !done)
    return std::move(done).error();
  Result<std::vector<FusionLoss>> losses = measure_bases(study, ground, steps, bases);
  if (!losses) return std::move(losses).error();
  found.losses = std::move(*losses);
  found.tests = fusion_tests(study, found.losses);
  return found;
}

std::vector<FusionTest> fusion_tests(const FusionStudy& study, std::span<const FusionLoss> losses) {
  const Bootstrap how{.draws = study.evaluate.draws};
  std::vector<FusionTest> tests;
  const auto take = [&](std::vector<FusionTest> more) {
    std::move(more.begin(), more.end(), std::back_inserter(tests));
  };
  std::vector<std::string> controls;
  if (study.controls.multitask) controls.emplace_back(kMultitask);
  if (study.controls.one_shot) controls.emplace_back(kOneShot);
  if (study.controls.sequential) controls.emplace_back(kSequential);
  for (const FusionArm& arm : study.arms) {
    take(gains(losses, arm.name, std::string(kNoFusion), how));
    if (arm.against.empty())
      for (const std::string& control : controls) take(gains(losses, arm.name, control, how));
    else
      take(against(losses, arm.name, arm.against, how));
    take(slopes(losses, arm.name, how));
  }
  for (const std::string& control : controls)
    take(gains(losses, control, std::string(kNoFusion), how));
  adjust(tests);
  return tests;
}

}  // namespace ration::study
