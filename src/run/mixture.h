#pragma once

// What a run trains on beside its main data (the target): the texts of the settings `aux` and
// `aux_schedule`, how many sequences they take, and what an online policy costs.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "run/count.h"
#include "run/spec.h"

namespace ration::run {

// An auxiliary source, as `aux` says it: "digest:weight:unique_tokens:max_epochs", with commas
// between sources.
struct AuxSource {
  std::string data_digest;
  double weight = 1;               // above 0, relative to the others'
  std::int64_t unique_tokens = 0;  // 0: all of its pool
  double max_epochs = 0;           // 0: no cap
};

// Sources in the order of the text. Errors (ErrorKind::usage): a part that is missing or no number
// in its range, a digest that is none or stands twice.
Result<std::vector<AuxSource>> parse_aux(std::string_view text);

// The one text of these sources: by ascending digest, weights of sum 1. So the identity of a run
// does not depend on names, nor on the order in which sources were listed.
std::string aux_text(std::vector<AuxSource> sources);

// `aux_schedule`: "at:share" with commas between points, `at` ascending from 0 (begin of the run)
// to 1 (its end), shares 0 to 1, straight lines between points.
struct SharePoint {
  double at = 0;
  double share = 0;
};
Result<std::vector<SharePoint>> parse_aux_schedule(std::string_view text);

// How many of the first sequences of a run come from auxiliary sources: the share summed over them,
// rounded. From one sequence to the next it grows by 0 or 1.
class AuxShare {
 public:
  explicit AuxShare(const RunSpec& spec);  // of a checked spec
  bool none() const { return points_.empty(); }
  std::int64_t sequences(std::int64_t first) const;

 private:
  double total_ = 0;  // sequences of the run
  std::vector<SharePoint> points_;
};

bool has_aux(const RunSpec& spec);
// A policy that learns from what each step shows, and whether that is a gradient.
bool is_online(const RunSpec& spec);
bool reads_gradients(const RunSpec& spec);

// Tokens of the run that come from the target; `tokens` counts all.
std::int64_t target_tokens(const RunSpec& spec);
// Passes over the target's unique tokens.
double target_epochs(const RunSpec& spec);

// FLOPs of a run's training: its tokens under the convention, and what its policy computes beside
// them. Of the latter: ucb1's gradients before the first step, 6 FLOPs an element of the reward
// parameters for each comparison and 2 for what is added up (docs/mixtures.md).
Flops run_flops(const RunSpec& spec, FlopConvention convention);

// Leaves out what a run does not read: all of a mixture without a share, the policy's settings
// where it is fixed, …; and fills reward_params "auto" and policy_smoothing 0. Part of resolve().
void resolve_mixture(RunSpec& spec);

// Problems of these settings that no single range shows. Part of check().
std::vector<Error> check_mixture(const RunSpec& spec);

}  // namespace ration::run
