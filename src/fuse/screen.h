#pragma once

// Which contributions of a round are fit to be fused: rules on numbers that were measured before
// (docs/fusing.md, "Screening"). Internal to the room.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fuse/config.h"

namespace ration::fuse {

// Lengths of task vectors, the one to be judged first among them.
struct Norms {
  std::vector<double> round;    // of this round
  std::vector<double> history;  // of accepted contributions of the last three rounds
  double base = 0;              // |theta_r|
};

// Why the norm of contribution `which` of the round is refused; nothing when it is not. 0 always
// is. With at least five norms, round and history together: a robust z of log norm beyond norm_z,
// and a factor from the median beyond norm_near; where all others are equal, a factor beyond
// norm_ratio. With fewer: more than norm_max of the base's norm.
std::optional<std::string> refuse_norm(const Config& config, const Norms& norms, std::size_t which);

// Why the direction is refused: mean cosine below cosine_min, together with a norm above the
// round's median. NaN (nobody to compare with) never is.
std::optional<std::string> refuse_direction(const Config& config,
                                            double cosine,
                                            double norm,
                                            std::span<const double> norms);

// Losses on the same windows before and after, in nats a token.
struct Change {
  double mean = 0;   // after - before; infinite where a loss is not finite
  double error = 0;  // of the mean, standard
};
Change change(std::span<const double> before, std::span<const double> after);

// The loss of a contribution grew by more than probe_slack beyond what the median contribution of
// the round did (0, where that is below, and where there are fewer than three), and by more than
// probe_z standard errors.
std::optional<std::string> refuse_probe(const Config& config,
                                        std::span<const Change> changes,
                                        std::size_t which);

// The loss of a fused model grew by more than both allow.
bool worse(const Config& config, const Change& change);

double median(std::vector<double> values);       // NaN without values
double mean(const std::vector<double>& values);  // NaN without values

}  // namespace ration::fuse
