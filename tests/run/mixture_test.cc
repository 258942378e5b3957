#include "run/mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "run/steps.h"
#include "support/runs.h"

namespace ration::run {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kA(64, 'a'), kB(64, 'b');

RunSpec mixed(double share) {
  RunSpec spec;
  spec.data_digest = std::string(64, 'c');
  spec.context = 8;
  spec.tokens = 1000 * spec.context;
  spec.unique_tokens = 100 * spec.context;
  spec.aux = aux_text({{.data_digest = kA}, {.data_digest = kB, .unique_tokens = 80}});
  spec.aux_share = share;
  return spec;
}

TEST(AuxiliarySources, HaveOneTextWhateverTheirOrderAndScale) {
  const std::string text = aux_text({{.data_digest = kB, .weight = 6, .unique_tokens = 100},
                                     {.data_digest = kA, .weight = 2, .max_epochs = 4}});

  EXPECT_EQ(text, kA + ":0.25:0:4," + kB + ":0.75:100:0");
  EXPECT_EQ(text,
            aux_text({{.data_digest = kA, .weight = 1, .max_epochs = 4},
                      {.data_digest = kB, .weight = 3, .unique_tokens = 100}}));
  const auto back = parse_aux(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(aux_text(*back), text);
}

TEST(AuxiliarySources, ThatMakeNoSenseAreRefusedByName) {
  for (const std::string& text : {std::string("code"),
                                  kA + ":1:0",
                                  kA + ":0:0:0",
                                  kA + ":1:-1:0",
                                  kA + ":1:0:nan",
                                  kA + ":1:0:0," + kA + ":1:0:0"}) {
    const auto sources = parse_aux(text);
    ASSERT_FALSE(sources) << text;
    EXPECT_THAT(sources.error().what, HasSubstr("aux: ")) << text;
  }
}

TEST(AuxiliaryShare, GrowsByNothingOrOneAndStaysWithinHalfASequence) {
  for (const double share : {0.0, 0.1, 1.0 / 3, 0.5, 0.999}) {
    const AuxShare of(mixed(share));
    for (std::int64_t n = 1; n <= 1000; ++n) {
      const std::int64_t step = of.sequences(n) - of.sequences(n - 1);
      ASSERT_TRUE(step == 0 || step == 1) << share << " at " << n;
      ASSERT_LE(std::abs(static_cast<double>(of.sequences(n)) - share * static_cast<double>(n)),
                0.5 + 1e-9);
    }
  }
}

TEST(AuxiliaryShare, FollowsAScheduleOfStraightLines) {
  RunSpec spec = mixed(0);
  spec.aux_schedule = "0:0.5,0.5:0.5,1:0";
  const AuxShare of(spec);

  EXPECT_EQ(of.sequences(500), 250);
  EXPECT_EQ(of.sequences(750), 250 + 94);  // 250 (0.5 + 0.25) / 2 = 93.75
  EXPECT_EQ(of.sequences(1000), 375);
  for (std::int64_t n = 1; n <= 1000; ++n) {
    const std::int64_t step = of.sequences(n) - of.sequences(n - 1);
    ASSERT_TRUE(step == 0 || step == 1);
  }
}

TEST(AuxiliaryShare, IsConstantBeforeTheFirstPointAndBehindTheLast) {
  RunSpec spec = mixed(0);
  spec.aux_schedule = "0.25:1,0.75:0";
  const AuxShare of(spec);
  EXPECT_EQ(of.sequences(250), 250);
  EXPECT_EQ(of.sequences(750), 500);
  EXPECT_EQ(of.sequences(1000), 500);
}

TEST(MixedRuns, CountTheTargetsTokensAndEpochsByThemselves) {
  EXPECT_EQ(target_tokens(mixed(0.25)), 6000);
  EXPECT_DOUBLE_EQ(target_epochs(mixed(0.25)), 7.5);
  RunSpec plain = mixed(0);
  plain.aux = "";
  EXPECT_EQ(target_tokens(plain), 8000);
  EXPECT_DOUBLE_EQ(target_epochs(plain), 10);
}

TEST(MixedRuns, WithoutAShareAreTheRunWithoutSources) {
  RunSpec plain = mixed(0);
  plain.aux = "";
  RunSpec none = mixed(0);
  none.policy = "exp3";
  none.policy_kappa = 10;
  EXPECT_EQ(run_id(resolve(none)), run_id(resolve(plain)));
}

TEST(MixedRuns, DoNotCountSettingsThatTheirPolicyDoesNotRead) {
  RunSpec a = mixed(0.5), b = mixed(0.5);
  b.policy_kappa = 3;
  b.policy_warmup = 5;
  b.reward_params = "all";
  EXPECT_EQ(run_id(resolve(a)), run_id(resolve(b)));
  a.policy = b.policy = "exp3";
  EXPECT_NE(run_id(resolve(a)), run_id(resolve(b)));
  EXPECT_EQ(resolve(a).reward_params, "last_block");  // head and embedding are one
  EXPECT_EQ(resolve(a).policy_smoothing, 1);
  a.policy = b.policy = "odm";
  b.policy_kappa = a.policy_kappa;
  EXPECT_NE(run_id(resolve(a)), run_id(resolve(b)));  // by the warm-up
}

TEST(MixedRuns, AreCheckedAsAWhole) {
  const auto problem_of = [](const std::function<void(RunSpec&)>& change) {
    RunSpec spec = mixed(0.5);
    change(spec);
    const std::vector<Error> problems = check_mixture(spec);
    return problems.empty() ? std::string() : problems[0].what;
  };
  EXPECT_THAT(problem_of([](RunSpec&) {}), IsEmpty());
  EXPECT_THAT(problem_of([](RunSpec& s) { s.aux = ""; }), HasSubstr("needs auxiliary sources"));
  EXPECT_THAT(problem_of([](RunSpec& s) { s.aux_share = 0; }), HasSubstr("need a share"));
  EXPECT_THAT(problem_of([](RunSpec& s) { s.aux_schedule = "0:1"; }), HasSubstr("both say"));
  EXPECT_THAT(problem_of([](RunSpec& s) { s.aux_schedule = "1:0,0:1"; }), HasSubstr("no point"));
  EXPECT_THAT(problem_of([](RunSpec& s) { s.data_digest = kA; }), HasSubstr("main data"));
  EXPECT_THAT(
      problem_of([](RunSpec& s) { s.aux = aux_text({{.data_digest = kA, .unique_tokens = 7}}); }),
      HasSubstr("less than one sequence"));
}

TEST(RunFlops, OfARunWithoutAPolicyAreItsTokens) {
  for (const auto& [convention, name] : kFlopConventions)
    EXPECT_EQ(run_flops(mixed(0.5), convention).value,
              flops_per_token(mixed(0.5), convention).value * 8000)
        << name;
}

TEST(RunFlops, ChargeTheGradientsThatAPolicyReads) {
  RunSpec spec = resolve(mixed(0.5));
  const double plain = run_flops(spec, FlopConvention::exact).value;
  const double each = flops_per_token(spec, FlopConvention::exact).value;
  spec.policy = "exp3";
  spec.policy_pulls = 2;
  spec.reward_params = "all";
  const double of_policy = 8 * count_params(spec).total * 2 * static_cast<double>(steps_of(spec));
  EXPECT_DOUBLE_EQ(run_flops(spec, FlopConvention::exact).value, plain + of_policy);

  spec.policy = "ucb1";  // 64 sequences of the target and of a, 10 windows of b
  EXPECT_DOUBLE_EQ(run_flops(spec, FlopConvention::exact).value,
                   plain + of_policy + each * (64 + 64 + 10) * 8);
}

}  // namespace
}  // namespace ration::run
