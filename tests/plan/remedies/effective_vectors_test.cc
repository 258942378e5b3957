// Equivalent unique tokens under published constants: tests/vectors/effective_tokens.json, with the
// tolerances that it states.

#include <gtest/gtest.h>

#include <cmath>

#include "plan/plan.h"
#include "plan/remedies/effective.h"
#include "support/vectors.h"

namespace ration::plan {
namespace {

const fit::Law& law() { return *fit::find_law("data-constrained"); }

fit::Coordinates constants(const Json& published) {
  fit::Coordinates x;
  for (const fit::Parameter& parameter : law().parameters()) {
    std::string name(parameter.name);
    if (name == "rd_star") name = "R_D_star";
    if (name == "rn_star") name = "R_N_star";
    x.push_back(parameter.coordinate(published[name].get<double>()));
  }
  return x;
}

TEST(EquivalentUniqueTokens, AreThePublishedOnes) {
  const Json vectors = test::vectors("effective_tokens.json");
  const fit::Coordinates x = constants(vectors["law"]);
  ASSERT_GE(vectors["cases"].size(), 7U);
  for (const Json& entry : vectors["cases"]) {
    const auto number = [&](const char* name) { return entry[name].get<double>(); };
    const Setting run{Params(number("N")), Tokens(number("D")), Tokens(number("U0"))};

    const double fitted = loss_of(law(), x, run.params, run.tokens, run.unique);
    const Result<Effective> found = effective(law(), x, run, Loss(fitted + number("delta")));

    EXPECT_NEAR(fitted, number("loss_baseline_fit"), 1e-12 * fitted);
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_EQ(found->saturated, entry["saturated"].get<bool>());
    if (found->saturated) {
      EXPECT_DOUBLE_EQ(found->multiplier, run.tokens / run.unique);
      continue;
    }
    EXPECT_NEAR(found->unique.value, number("U_eq"), 1e-6 * number("U_eq"));
    EXPECT_NEAR(found->multiplier, number("multiplier"), 1e-6 * number("multiplier"));
    ASSERT_TRUE(found->fresh);
    EXPECT_NEAR(found->fresh->value, number("D_eq"), 1e-6 * number("D_eq"));
    EXPECT_NEAR(found->slope, number("slope_dL_dlnU"), 1e-4 * std::abs(found->slope));
    EXPECT_NEAR(log_unique_error(found->slope, 0.005),
                number("sd_lnU_for_sd_delta_0p005"),
                1e-4 * number("sd_lnU_for_sd_delta_0p005"));
  }
}

}  // namespace
}  // namespace ration::plan
