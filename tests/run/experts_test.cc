#include "run/experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/architecture.h"
#include "run/count.h"

namespace ration::run {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

RunSpec gpt2_with(const std::string& router, const std::string& kind = "ffn") {
  RunSpec spec;
  spec.family = "gpt2";
  spec.layers = 4;
  spec.width = 128;
  spec.context = 512;
  spec.tokens = 4096;
  spec.router = router;
  spec.expert_kind = kind;
  return resolve(spec);
}

double flops(const RunSpec& spec) { return flops_per_token(spec, FlopConvention::exact).value; }

// Of all layers: 6 a multiply-add of one expert's numbers, forward and backward.
double expert_flops(const RunSpec& spec) {
  return 6 * static_cast<double>(spec.layers) * count_experts(spec).expert;
}

TEST(ExpertCounts, OfActiveParametersAreThoseOfASingleExpertAndTheRouter) {
  const RunSpec plain = gpt2_with("none"), smear = gpt2_with("smear");
  const double router = 4 * (8 + 3) * 128, expert = 2.0 * 128 * 512;

  EXPECT_EQ(count_experts(smear).expert, expert);
  EXPECT_EQ(count_params(smear).block, count_params(plain).block + router);
  EXPECT_EQ(count_params(smear).total, count_params(plain).total + router + 4 * 7 * expert);
}

TEST(ExpertCounts, OfFlopsAreThoseOfMergingOverTheChunk) {
  const RunSpec plain = gpt2_with("none"), smear = gpt2_with("smear");
  const double router = 6 * 4 * (8 + 3) * 128 / 128.0;

  EXPECT_NEAR((flops(smear) - router - flops(plain)) / expert_flops(smear), 8.0 / 128, 1e-12);
}

TEST(ExpertCounts, OfFlopsAreEFoldForAnEnsembleAndAWideMlp) {
  const RunSpec plain = gpt2_with("none");
  const RunSpec ensemble = gpt2_with("ensemble"), wide = gpt2_with("dense_wide");
  const double router = 6 * 4 * (8 + 3) * 128 / 128.0;

  EXPECT_NEAR((flops(ensemble) - router - flops(plain)) / expert_flops(ensemble), 7, 1e-12);
  EXPECT_NEAR(flops(wide) - flops(plain), expert_flops(wide) * 7 / 8, 1e-6);
}

// Multiply-adds a token of one layer, counted map by map as the layer computes them: each of the
// `times` experts goes through its own maps, and with factors through the shared ones, too.
double by_hand(const RunSpec& spec, double times) {
  const double d = 128, f = 512, r = 16;
  if (spec.expert_kind == "adapter") return (d * f + f * d) + times * (d * r + r * d);
  if (spec.expert_kind == "ffn") return times * (d * f + f * d);
  double sum = 0;
  for (const auto& [in, out] : {std::pair{d, f}, std::pair{f, d}})
    sum += times * (in * out + in * r + r * out);
  return sum;
}

TEST(ExpertCounts, OfFlopsAreThoseOfEveryMapThatIsComputed) {
  for (const std::string kind : {"ffn", "adapter", "lowrank"})
    for (const auto& [router, times] : {std::pair{"tag", 1.0},
                                        std::pair{"hash", 1.0},
                                        std::pair{"ensemble", 8.0},
                                        std::pair{"dselect", 8.0}}) {
      const RunSpec spec = gpt2_with(router, kind);
      RunSpec none = gpt2_with("none");
      const double columns = spec.router == "dselect" ? 3 : 8;
      const double choosing =
          spec.router == "tag" || spec.router == "hash" ? 0 : (columns + 3) * 128 / 128;

      const double mlp = (flops(spec) - flops(none)) / (6 * 4) + 2.0 * 128 * 512;

      EXPECT_NEAR(mlp, by_hand(spec, times) + choosing, 1e-6) << kind << " " << router;
    }
}

TEST(ExpertCounts, OfADenseModelAreThoseWithoutExperts) {
  EXPECT_FALSE(has_experts(gpt2_with("dense")));
  EXPECT_EQ(count_params(gpt2_with("dense")).total, count_params(gpt2_with("none")).total);
  EXPECT_TRUE(has_experts(gpt2_with("dense", "adapter")));
}

TEST(Experts, LeaveOutWhatTheirRouterDoesNotRead) {
  RunSpec spec = gpt2_with("none");
  spec.router = "hash";
  spec.expert_dropout = 0.3;
  spec.router_lr = 7;
  spec.expert_rank = 4;
  spec.router_balance = 1;

  const RunSpec resolved = resolve(spec);

  EXPECT_EQ(resolved.expert_dropout, RunSpec().expert_dropout);
  EXPECT_EQ(resolved.router_lr, RunSpec().router_lr);
  EXPECT_EQ(resolved.expert_rank, RunSpec().expert_rank);
  EXPECT_EQ(resolved.router_balance, 0);
  EXPECT_EQ(resolve(resolved), resolved);
}

TEST(Experts, AreRefusedInWordsWhereTheirSettingsDoNotGoTogether) {
  const auto words = [](RunSpec spec, auto change) {
    change(spec);
    const std::vector<Error> problems = check(spec);
    return problems.empty() ? std::string() : problems[0].what;
  };
  const RunSpec smear = gpt2_with("smear");

  EXPECT_EQ(words(smear, [](auto&) {}), "");
  EXPECT_THAT(words(smear, [](auto& s) { s.expert_chunk = 512; }),
              AllOf(StartsWith("expert_chunk = 512"), HasSubstr("end before")));
  EXPECT_THAT(words(smear, [](auto& s) { s.precision = "bf16"; }),
              StartsWith("precision = \"bf16\""));
  EXPECT_THAT(words(gpt2_with("smear", "lowrank"), [](auto& s) { s.expert_rank = 129; }),
              AllOf(StartsWith("expert_rank = 129"), HasSubstr("larger than the matrices")));
  EXPECT_THAT(words(gpt2_with("tag"), [](auto&) {}),
              AllOf(StartsWith("router = \"tag\""), HasSubstr("reads the source")));
  EXPECT_THAT(words(gpt2_with("dselect"), [](auto& s) { s.experts = 6; }),
              AllOf(StartsWith("experts = 6"), HasSubstr("no power of two")));
  EXPECT_THAT(words(gpt2_with("dselect"), [](auto& s) { s.experts = 1; }),
              AllOf(StartsWith("experts = 1"), HasSubstr("nothing to choose")));
  EXPECT_THAT(words(smear,
                    [](auto& s) {
                      s.layers = 1;
                      s.expert_layers = "odd";
                    }),
              AllOf(StartsWith("expert_layers = \"odd\""), HasSubstr("one layer")));
  for (const std::string router : {"st_gumbel", "dselect"})
    EXPECT_THAT(words(gpt2_with(router),
                      [](auto& s) {
                        s.branch_from = std::string(32, 'a');
                        s.branch_step = 1;
                      }),
                AllOf(StartsWith("router = \"" + router + "\""), HasSubstr("with its trunk")));
}

TEST(Experts, AreRefusedWhereTheRunIsNotCarriedOutAsTheyNeed) {
  const auto words = [](const RunSpec& spec, const Execution& execution) {
    const std::vector<Error> problems = check_experts(spec, execution);
    return problems.empty() ? std::string() : problems[0].what;
  };
  RunSpec balanced = gpt2_with("top1");
  balanced.router_balance = 0.5;

  for (const char* device : {"auto", "cpu"}) {
    EXPECT_EQ(words(gpt2_with("smear"), {.device = device}), "");
    EXPECT_EQ(words(balanced, {.device = device}), "");
  }
  EXPECT_EQ(words(gpt2_with("none"), {.device = "cuda"}), "");
  EXPECT_EQ(words(gpt2_with("dense"), {.device = "cuda"}), "");
  EXPECT_THAT(words(gpt2_with("smear"), {.device = "cuda"}),
              AllOf(StartsWith("device = \"cuda\""), HasSubstr("processor alone")));
  EXPECT_THAT(words(balanced, {.micro_batch_sequences = 2}),
              AllOf(StartsWith("router_balance = 0.5"), HasSubstr("micro_batch_sequences = 2")));
  EXPECT_THAT(words(balanced, {.processes = 2}), HasSubstr("processes = 2"));
}

TEST(Experts, OfAnotherRouterAreAnotherArchitecture) {
  RunSpec other = gpt2_with("smear");
  other.expert_chunk = 64;

  EXPECT_EQ(architecture_differences(gpt2_with("smear"), other), "expert_chunk (128 and 64)");
  EXPECT_THAT(architecture_differences(gpt2_with("none"), gpt2_with("top1")), HasSubstr("router"));
  EXPECT_EQ(architecture_differences(gpt2_with("none"), gpt2_with("dense")), "");
}

}  // namespace
}  // namespace ration::run
