#include "run/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "support/runs.h"

namespace ration::run {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;

std::vector<Field> all_fields() {
  std::vector<Field> fields(identity_fields().begin(), identity_fields().end());
  fields.insert(fields.end(), execution_fields().begin(), execution_fields().end());
  return fields;
}

std::vector<std::string> messages(const std::vector<Error>& problems) {
  std::vector<std::string> texts;
  for (const Error& problem : problems) texts.push_back(problem.what);
  return texts;
}

TEST(RunSettings, AreEachDocumentedUnderANameOfTheirOwn) {
  std::set<std::string> names;
  for (const Field& field : all_fields()) {
    EXPECT_THAT(field.name, MatchesRegex("[a-z][a-z0-9_]*"));
    EXPECT_TRUE(names.insert(field.name).second) << field.name << " stands twice";
    EXPECT_THAT(field.range, testing::Not(IsEmpty())) << field.name;
    EXPECT_GT(field.why.size(), 15U) << field.name;
    if (std::holds_alternative<double>(field.default_value)) {
      EXPECT_THAT(field.unit, testing::Not(IsEmpty())) << field.name << " is a number of what?";
    }
  }
}

TEST(RunSettings, OfTheIdentityAreExactlyTheMembersInTheCanonicalSpec) {
  RunSpec spec;
  spec.parametrisation = "mup";  // later settings are written where they differ from their default
  spec.on_spike = "rewind";
  spec.branch_from = std::string(32, 'a');
  spec.branch_step = 1;
  spec.aux = std::string(64, 'a') + ":1:0:0";
  spec.aux_share = 0.5;
  spec.aux_schedule = "0:1";
  spec.mix_order = "iid";
  spec.policy = "exp3";
  spec.policy_pulls = 2;
  spec.policy_reward = "combined";
  spec.reward_params = "head";
  spec.policy_kappa = 2;
  spec.policy_credit = "once";
  spec.policy_forget = 0.1;
  spec.policy_smoothing = 0.5;
  spec.policy_mean = true;
  spec.policy_rescale = false;
  spec.policy_rstar = 1;
  spec.policy_warmup = 1;
  spec.policy_compat = "public";
  spec.init = "run:" + std::string(32, 'a');
  spec.tune = "norms";
  spec.points = "sha256:" + std::string(64, 'a');
  spec.router = "smear";
  spec.experts = 4;
  spec.expert_kind = "adapter";
  spec.expert_rank = 8;
  spec.expert_layers = "odd";
  spec.expert_mode = "prefix";
  spec.expert_chunk = 16;
  spec.expert_dropout = 0;
  spec.router_lr = 1;
  spec.router_balance = 0.01;
  spec.tag_noise = 0.5;
  const Json object = to_json(spec);

  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  std::set<std::string> names;
  for (const Field& field : identity_fields()) names.insert(field.name);
  EXPECT_EQ(keys, names);
}

TEST(RunSettings, ThatCameLaterLeaveTheIdentityOfOldRunsAlone) {
  const Json object = to_json(RunSpec());
  EXPECT_FALSE(object.contains("parametrisation"));
  EXPECT_FALSE(object.contains("on_spike"));

  for (const auto& [name, value] : {std::pair{"parametrisation", "mup"}, {"on_spike", "rewind"}}) {
    RunSpec changed;
    ASSERT_TRUE(set(changed, name, std::string(value)));
    EXPECT_NE(run_id(changed), run_id(RunSpec())) << name;
    const Result<RunSpec> back = spec_from_json(to_json(changed), "test");
    ASSERT_TRUE(back) << name;
    EXPECT_EQ(*back, changed) << name;
  }
  EXPECT_EQ(*spec_from_json(object, "test"), RunSpec());
}

TEST(RunSettings, HaveDefaultsThatRunOnceTheTokensAreGiven) {
  RunSpec spec;
  spec.tokens = 1'000'000;
  EXPECT_THAT(messages(check(resolve(spec))), IsEmpty());
  EXPECT_THAT(messages(check(Execution())), IsEmpty());

  spec.tokens = 0;
  EXPECT_THAT(messages(check(resolve(spec))), ElementsAre(HasSubstr("tokens = 0")));
}

TEST(RunSettings, ReadBackWhatWasSet) {
  RunSpec spec;
  for (const auto& [name, value] : std::vector<std::pair<std::string, Value>>{
           {"width", std::int64_t{128}}, {"lr", 0.02}, {"tied", false}, {"family", "gpt2"}}) {
    ASSERT_TRUE(set(spec, name, value)) << name;
    EXPECT_EQ(get(spec, name), value) << name;
  }

  EXPECT_EQ(spec.width, 128);
  EXPECT_EQ(spec.lr, 0.02);
  EXPECT_FALSE(spec.tied);
  EXPECT_EQ(spec.family, "gpt2");
}

TEST(RunSettings, TakeAWholeDoubleForACountAndACountForADouble) {
  RunSpec spec;
  ASSERT_TRUE(set(spec, "tokens", Value(1e6)));
  ASSERT_TRUE(set(spec, "lr", Value(std::int64_t{1})));

  EXPECT_EQ(spec.tokens, 1'000'000);
  EXPECT_EQ(spec.lr, 1.0);
}

TEST(RunSettings, RefuseAValueOfAnotherTypeAndStayAsTheyWere) {
  RunSpec spec;
  const RunSpec before = spec;
  for (const auto& [name, value] : std::vector<std::pair<std::string, Value>>{
           {"layers", 2.5},
           {"layers", true},
           {"layers", "two"},
           {"layers", 1e19},
           {"layers", std::numeric_limits<double>::quiet_NaN()},
           {"tied", std::int64_t{1}},
           {"lr", "fast"},
           {"family", 3.0}}) {
    const Result<void> done = set(spec, name, value);
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().kind, ErrorKind::usage);
    EXPECT_THAT(done.error().what, HasSubstr(name + " must be "));
  }

  EXPECT_EQ(spec, before);
}

TEST(RunSettings, SuggestTheNearestNameForATypo) {
  RunSpec spec;
  Execution execution;
  const Result<void> identity = set(spec, "weigth_decay", Value(0.1));
  const Result<void> carrying_out = set(execution, "thread", Value(std::int64_t{2}));
  const Result<Value> either = accept("log_every_step", Value(std::int64_t{2}));

  ASSERT_FALSE(identity);
  EXPECT_THAT(identity.error().what, HasSubstr("unknown setting \"weigth_decay\""));
  EXPECT_THAT(identity.error().hint, HasSubstr("weight_decay"));
  ASSERT_FALSE(carrying_out);
  EXPECT_THAT(carrying_out.error().hint, HasSubstr("threads"));
  ASSERT_FALSE(either);
  EXPECT_THAT(either.error().hint, HasSubstr("log_every_steps"));
}

TEST(RunSettings, PointToTheHelpWhenNoNameIsNear) {
  RunSpec spec;
  const Result<void> done = set(spec, "completely_else", Value(1.0));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().hint, HasSubstr("ration help settings"));
}

TEST(RunSettings, RefuseNumbersBeyondTheirRange) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Field& field : all_fields()) {
    const bool count = std::holds_alternative<std::int64_t>(field.default_value);
    const bool real = std::holds_alternative<double>(field.default_value);
    if (count || real) {
      EXPECT_FALSE(accept(field.name, Value(-1.0))) << field.name;
      EXPECT_FALSE(accept(field.name, Value(1e300))) << field.name;
      EXPECT_FALSE(accept(field.name, Value(kNan))) << field.name;
      EXPECT_FALSE(accept(field.name, Value(kInfinity))) << field.name;
    }
  }
}

TEST(RunSettings, AcceptTheirOwnDefaults) {
  for (const Field& field : all_fields())
    EXPECT_TRUE(accept(field.name, field.default_value)) << field.name;
}

TEST(RunSettings, NameTheAllowedRangeWithItsUnit) {
  const Result<Value> depth = accept("layers", Value(std::int64_t{0}));
  ASSERT_FALSE(depth);
  EXPECT_EQ(depth.error().what, "layers = 0 is out of range");
  EXPECT_EQ(depth.error().hint, "allowed: 1 to 1024 layers");

  const Result<Value> word = accept("schedule", Value("linear"));
  ASSERT_FALSE(word);
  EXPECT_EQ(word.error().what, "schedule = \"linear\" is not known");
  EXPECT_EQ(word.error().hint, "allowed: cosine, wsd, const");
}

TEST(RunSpecCheck, TellsAllProblemsAtOnce) {
  RunSpec spec = test::small_spec();
  spec.layers = 0;
  spec.heads = 3;
  spec.lr = -1;
  spec.schedule = "linear";
  spec.unique_tokens = 4;
  spec.bias = true;
  EXPECT_THAT(messages(check(spec)),
              ElementsAre(HasSubstr("layers"),
                          HasSubstr("lr"),
                          HasSubstr("schedule"),
                          HasSubstr("width 8 is not a multiple of heads 3"),
                          HasSubstr("family llama has no biases"),
                          HasSubstr("unique_tokens 4 is less than one sequence of 8")));
}

TEST(RunSpecCheck, RefusesShapesThatCannotBeBuilt) {
  const auto problems_with = [](auto change) {
    RunSpec spec = test::small_spec();
    change(spec);
    return messages(check(resolve(spec)));
  };

  EXPECT_THAT(problems_with([](RunSpec& s) { s.width = 6; }),
              ElementsAre(HasSubstr("head width 3 is odd")));
  EXPECT_THAT(problems_with([](RunSpec& s) { s.mlp = "gelu_erf"; }),
              ElementsAre(HasSubstr("family llama has no mlp \"gelu_erf\"")));
  EXPECT_THAT(problems_with([](RunSpec& s) { s.family = "gpt2"; }),
              ElementsAre(HasSubstr("family gpt2 has no mlp \"swiglu\"")));
  EXPECT_THAT(problems_with([](RunSpec& s) { s.family = "gpt2", s.mlp = "auto", s.tied = false; }),
              ElementsAre(HasSubstr("family gpt2 ties its head")));
  EXPECT_THAT(problems_with([](RunSpec& s) { s.numerics = kNumericsVersion + 1; }),
              ElementsAre(HasSubstr("is newer than this program's")));
}

TEST(RunSpecCheck, LetsGpt2HaveAnOddHeadWidthForItHasNoRotaryPositions) {
  RunSpec spec = test::small_spec();
  spec.family = "gpt2";
  spec.mlp = "auto";
  spec.width = 6;
  EXPECT_THAT(check(resolve(spec)), IsEmpty());
}

TEST(RunSpecCheck, LooksAtExecutionSettingsToo) {
  Execution execution;
  execution.threads = 0;
  execution.checkpoint_minutes = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(messages(check(execution)),
              ElementsAre(HasSubstr("threads"), HasSubstr("checkpoint_minutes")));
}

// F = the multiple of 8 (of 64 from width 256 on) nearest to 8 d / 3; 4 d without a gate.
TEST(RunSpecResolve, ChoosesTheHiddenWidthByTheFamilysRule) {
  const auto hidden_width = [](std::string family, std::string mlp, std::int64_t width) {
    RunSpec spec;
    spec.family = std::move(family);
    spec.mlp = std::move(mlp);
    spec.width = width;
    return resolve(spec).mlp_width;
  };

  EXPECT_EQ(hidden_width("llama", "auto", 2), 8);         // 5.33
  EXPECT_EQ(hidden_width("llama", "auto", 64), 168);      // 170.67
  EXPECT_EQ(hidden_width("llama", "auto", 250), 664);     // 666.67
  EXPECT_EQ(hidden_width("llama", "auto", 256), 704);     // 682.67
  EXPECT_EQ(hidden_width("llama", "auto", 4096), 10944);  // 10922.67
  EXPECT_EQ(hidden_width("llama", "relu2", 64), 256);
  EXPECT_EQ(hidden_width("gpt2", "auto", 768), 3072);
}

TEST(RunSpecResolve, IsIdempotentAndKeepsWhatWasChosen) {
  RunSpec spec;
  spec.mlp = "relu2";
  spec.mlp_width = 100;

  const RunSpec once = resolve(spec);
  EXPECT_EQ(once, spec);
  EXPECT_EQ(resolve(resolve(RunSpec())), resolve(RunSpec()));
  EXPECT_EQ(resolve(RunSpec()).mlp, "swiglu");
}

}  // namespace
}  // namespace ration::run
