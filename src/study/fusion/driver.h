#pragma once

// Carries out an experiment with fusion: every arm with every seed, controls on as many tokens,
// then the losses of all bases. What fuses, trains and evaluates is passed in.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/points.h"
#include "fuse/fuse.h"
#include "study/fusion/statistics.h"
#include "study/fusion/sweeps.h"
#include "study/training.h"

namespace ration::study {

struct FusionSteps {
  // All rounds of a fusion of this name (parts joined by '/').
  std::function<Result<std::vector<fuse::RoundRecord>>(const fuse::Config& config,
                                                       const std::string& name)>
      fuse;
  std::function<Result<std::vector<TrainedRun>>(const Json& sweep)> train;
  std::function<Result<std::vector<eval::PointLoss>>(const run::PointList& list,
                                                     const std::string& name)>
      evaluate;
  std::function<void(std::string_view)> note = [](std::string_view) {};
};

// A fusion of the experiment; of the control one_shot, too.
struct FusedArm {
  std::string arm;
  std::int64_t seed = 0;
  std::vector<fuse::RoundRecord> rounds;

  std::int64_t tokens() const;
};

// A base that is measured.
struct FusionBase {
  std::string arm;
  std::int64_t seed = 0;
  std::int64_t round = 0;
  bool last = false;  // of its arm and seed: the one that is probed and fine-tuned
  FusionWeights base;
};

struct FusionFindings {
  std::vector<FusedArm> fusions;                // by arm, then seed
  std::map<std::int64_t, std::int64_t> tokens;  // of the first arm and the controls, by seed
  std::vector<FusionLoss> losses;
  std::vector<FusionTest> tests;
};

// The bases of a fusion, with theta_0.
std::vector<FusionBase> bases_of(const FusedArm& fused);

// Errors: those of the steps, in front of them the arm and seed; a fusion without rounds, runs that
// did not come back (ErrorKind::internal).
Result<FusionFindings> carry_out_fusion(const FusionStudy& study,
                                        const FusionGround& ground,
                                        const FusionSteps& steps);

// Every test that the losses allow (fusion/statistics.h): each arm and control against theta_0,
// each arm without `against` against each control, the others against the arm that they name;
// slopes.
std::vector<FusionTest> fusion_tests(const FusionStudy& study, std::span<const FusionLoss> losses);

}  // namespace ration::study
