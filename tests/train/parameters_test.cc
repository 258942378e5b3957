#include "train/parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "run/count.h"

namespace ration::train {
namespace {

run::RunSpec spec_of(std::int64_t layers) {
  run::RunSpec spec;
  spec.layers = layers;
  spec.width = 64;
  spec.vocab = 300;
  return run::resolve(spec);
}

bool equal(const Parameters& a, const Parameters& b, std::string_view name) {
  return at::equal(a.at(name).value, b.at(name).value);
}

double standard_deviation(const Parameters& parameters, std::string_view name) {
  return parameters.at(name).value.to(at::kDouble).std().item<double>();
}

TEST(Parameters, GiveATensorTheSameValuesWhateverElseTheModelHolds) {
  run::RunSpec with_head = spec_of(1);
  with_head.tied = false;
  with_head.mlp = "relu2";
  with_head.mlp_width = 0;
  const Parameters one(spec_of(1), at::kFloat);
  const Parameters three(spec_of(3), at::kFloat);
  const Parameters untied(run::resolve(with_head), at::kFloat);

  EXPECT_TRUE(equal(one, three, "wte"));
  EXPECT_TRUE(equal(one, three, "h0.attn.qkv.w"));
  EXPECT_TRUE(equal(one, untied, "h0.attn.o.w"));
  EXPECT_FALSE(at::equal(three.at("h0.attn.qkv.w").value, three.at("h1.attn.qkv.w").value));
}

TEST(Parameters, GiveATensorTheSameValuesWhereSeveralThreadsDraw) {
  run::RunSpec large = spec_of(2);
  large.vocab = 300'000;  // 19 M parameters
  const Parameters one(spec_of(2), at::kFloat), threads(large, at::kFloat);

  EXPECT_TRUE(equal(one, threads, "h0.attn.qkv.w"));
  EXPECT_TRUE(equal(one, threads, "h1.mlp.down.w"));
  EXPECT_TRUE(at::equal(one.at("wte").value, threads.at("wte").value.narrow(0, 0, 300)));
}

TEST(Parameters, DifferWithTheSeed) {
  run::RunSpec other = spec_of(1);
  other.seed = 1;

  EXPECT_FALSE(
      equal(Parameters(spec_of(1), at::kFloat), Parameters(other, at::kFloat), "h0.mlp.up.w"));
}

TEST(Parameters, DivideWhatFeedsTheResidualByTheRootOfTwiceTheLayers) {
  const Parameters parameters(spec_of(8), at::kFloat);
  const double residual = 0.02 / std::sqrt(16.0);

  // Each tensor holds over 4000 draws: the deviation of its deviation is about 1.1 %.
  EXPECT_NEAR(standard_deviation(parameters, "wte"), 0.02, 0.02 * 0.04);
  EXPECT_NEAR(standard_deviation(parameters, "h7.attn.qkv.w"), 0.02, 0.02 * 0.04);
  EXPECT_NEAR(standard_deviation(parameters, "h7.attn.o.w"), residual, residual * 0.05);
  EXPECT_NEAR(standard_deviation(parameters, "h0.mlp.down.w"), residual, residual * 0.05);
}

TEST(Parameters, BeginWithGainsOfOneAndBiasesOfZero) {
  run::RunSpec spec;
  spec.family = "gpt2";
  spec.bias = true;
  const Parameters parameters(run::resolve(spec), at::kFloat);

  EXPECT_TRUE(at::equal(parameters.at("h0.ln1.g").value, at::ones({spec.width})));
  EXPECT_TRUE(at::equal(parameters.at("lnf.b").value, at::zeros({spec.width})));
  EXPECT_TRUE(at::equal(parameters.at("h1.attn.qkv.b").value, at::zeros({3 * spec.width})));
}

TEST(Parameters, HoldAsManyNumbersAsTheRunCounts) {
  for (const std::string family : {"llama", "gpt2"}) {
    run::RunSpec spec = spec_of(3);
    spec.family = family;
    spec.mlp = "auto";
    spec.mlp_width = 0;
    spec.bias = family == "gpt2";
    spec.tied = family == "gpt2";
    spec = run::resolve(spec);
    const Parameters parameters(spec, at::kFloat);
    std::int64_t held = 0;
    for (const Parameters::Entry& entry : parameters.entries()) held += entry.value.numel();

    EXPECT_EQ(static_cast<double>(held), run::count_params(spec).total) << family;
  }
}

}  // namespace
}  // namespace ration::train
