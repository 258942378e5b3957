#pragma once

// What an experiment with fusion measures: the losses of bases, round by round, and what a corpus
// is worth them after fine-tuning.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ration::study {

enum class Measure {
  zero_step,   // of the base as it is
  probe,       // after a bias on the logits was fitted
  fine_tuned,  // after training on the corpus
  few_shot,    // after training on a few tokens of the corpus
};
inline constexpr std::array<Measure, 4> kMeasures = {
    Measure::zero_step, Measure::probe, Measure::fine_tuned, Measure::few_shot};
std::string_view name(Measure measure);

// The arm whose only base is theta_0; the controls train on as many tokens as the first arm.
inline constexpr std::string_view kNoFusion = "none";
inline constexpr std::string_view kMultitask = "multitask";
inline constexpr std::string_view kOneShot = "one_shot";
inline constexpr std::string_view kSequential = "sequential";

// Held-out loss of an arm's base on a corpus.
struct FusionLoss {
  std::string arm;
  std::int64_t seed = 0;
  std::int64_t round = 0;  // that made the base; 0 is theta_0
  std::string corpus;
  bool seen = true;  // a contributor trains on it
  Measure measure = Measure::zero_step;
  double loss = 0;          // nats a token; NaN where it is not finite
  std::int64_t tokens = 0;  // evaluated; 0 = not told
};

}  // namespace ration::study
