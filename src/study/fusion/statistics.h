#pragma once

// What the losses of an experiment with fusion say, with intervals. Positive gains mean that the
// arm has the lower loss. Seeds are paired: a difference is that of two losses of one seed and
// corpus; both must be finite.

#include <span>
#include <string>
#include <vector>

#include "study/fusion/losses.h"
#include "study/statistics.h"

namespace ration::study {

enum class Corpora { all, seen, unseen };
inline constexpr std::array<Corpora, 3> kCorpora = {Corpora::all, Corpora::seen, Corpora::unseen};
std::string_view name(Corpora group);

struct FusionTest {
  std::string question;  // gain | slope | against
  std::string arm;
  std::string other;  // what it is compared with; empty for slopes
  Measure measure = Measure::zero_step;
  Corpora group = Corpora::all;
  // Over corpora, then seeds within each. Takes the seeds of a corpus for independent of those of
  // another, although one base is tried on all corpora.
  Estimate nested;
  // Corpora and seeds on their own: wider, and right where a seed moves all corpora.
  Estimate crossed;
  double holm = 1;  // nested.p among the tests of this question, measure and group
  std::int64_t wins = 0, losses = 0, ties = 0;  // corpora, by the mean over seeds
  double sign = 1;                              // exact two-sided sign test of these
  std::int64_t left_out = 0;                    // pairs with a loss that is not finite
  // Against: the arm's mean loss over corpora and seeds less that of `other`, in standard errors of
  // the latter over seeds. NaN with one seed.
  double standard_errors = 0;
};

// The loss of `other` less that of `arm`, each of its last round. Nothing where no pair exists.
std::vector<FusionTest> gains(std::span<const FusionLoss> losses,
                              const std::string& arm,
                              const std::string& other,
                              const Bootstrap& how);

// The same of an arm against the one that it names, such as one with faults against one without.
std::vector<FusionTest> against(std::span<const FusionLoss> losses,
                                const std::string& arm,
                                const std::string& other,
                                const Bootstrap& how);

// The slope of the zero-step loss in rounds, nats a token and round: below 0 is better. wins are
// corpora that fall. Arms with fewer than two rounds have none.
std::vector<FusionTest> slopes(std::span<const FusionLoss> losses,
                               const std::string& arm,
                               const Bootstrap& how);

// Fills in `holm` of each.
void adjust(std::vector<FusionTest>& tests);

}  // namespace ration::study
