// Losses that have nothing to do with the runs are flagged, however few these are.

#include <gtest/gtest.h>

#include "fit/support.h"

namespace ration::fit {
namespace {

struct ShuffledCase {
  std::string table, law;
  std::size_t rows;  // drawn from it; 0 = all
  int resamples;
};

// How many of `tries` fits are not trusted when each run has the loss of another.
int flagged_when_shuffled(const ShuffledCase& c, int tries) {
  const std::vector<Observation> published = test::published_runs(c.table);
  int flagged = 0;
  for (int k = 0; k < tries; ++k) {
    std::vector<Observation> runs = published;
    Stream stream(static_cast<std::uint64_t>(k), StreamId::starts);
    const auto shuffle = [&](auto member) {
      for (std::size_t i = runs.size(); i > 1; --i)
        std::swap(member(runs[i - 1]), member(runs[stream.below(i)]));
    };
    shuffle([](Observation& run) -> Observation& { return run; });
    if (c.rows > 0) runs.resize(c.rows);
    shuffle([](Observation& run) -> Loss& { return run.loss; });
    const Result<Fit> fit =
        fit_law(runs, {.law = c.law, .resamples = c.resamples, .profile_points = 0});
    flagged += fit && fit->trusted() ? 0 : 1;
  }
  return flagged;
}

TEST(ShuffledLosses, AreNotTrusted) {
  EXPECT_EQ(flagged_when_shuffled({"chinchilla_245.csv", "chinchilla", 0, 40}, 20), 20);
}

TEST(ShuffledLosses, OfAFewRunsAreNotTrusted) {
  constexpr int kTries = 20, kEnough = 19;  // 95 %
  for (const ShuffledCase& c : {ShuffledCase{"chinchilla_245.csv", "chinchilla", 9, 0},
                                {"data_constrained_c4.csv", "data-constrained", 12, 0},
                                {"data_constrained_c4.csv", "data-constrained", 25, 0},
                                {"data_constrained_c4.csv", "joint-decay", 25, 0},
                                {"quickstart_runs.csv", "data-constrained", 0, 0}}) {
    const int flagged = flagged_when_shuffled(c, kTries);
    EXPECT_GE(flagged, kEnough) << c.law << " on " << c.rows << " runs of " << c.table;
  }
}

}  // namespace
}  // namespace ration::fit
