// Optimal allocations under published constants: tests/vectors/fitting_reference.json, member
// `allocation`.

#include <gtest/gtest.h>

#include <cmath>

#include "plan/plan.h"
#include "support/vectors.h"

namespace ration::plan {
namespace {

const fit::Law& law() { return *fit::find_law("data-constrained"); }

Json allocation() { return test::vectors("fitting_reference.json")["allocation"]; }

fit::Coordinates constants() {
  fit::Coordinates x = allocation()["constants"].get<fit::Coordinates>();
  x[5] = std::log(x[5]);
  x[6] = std::log(x[6]);
  return x;
}

TEST(PublishedAllocations, AreFoundOrBettered) {
  const fit::Coordinates x = constants();
  for (const Json& entry : allocation()["optima"]) {
    const Request request{.budget = Flops(entry["C"].get<double>()),
                          .unique = Tokens(entry["U"].get<double>())};

    const Optimum optimum = optimise(law(), x, request);

    const double params = entry["N"].get<double>();
    EXPECT_LE(optimum.loss, entry["L"].get<double>() * (1 + 1e-9));
    EXPECT_NEAR(optimum.params, params, 1e-4 * params);
    EXPECT_NEAR(optimum.epochs, entry["epochs"].get<double>(), 1e-4 * optimum.epochs);
    // A coarse first grid, as used for each bootstrap draw, must find the same.
    EXPECT_NEAR(optimise(law(), x, request, 100).params, params, 1e-4 * params);
  }
}

TEST(PublishedAllocations, HaveThePublishedLosses) {
  for (const Json& entry : allocation()["loss_points"]) {
    const double expected = entry["L"].get<double>();
    EXPECT_NEAR(loss_of(law(),
                        constants(),
                        Params(entry["N"].get<double>()),
                        Tokens(entry["D"].get<double>()),
                        Tokens(entry["U"].get<double>())),
                expected,
                1e-12 * expected);
  }
}

}  // namespace
}  // namespace ration::plan
