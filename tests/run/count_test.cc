#include "run/count.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/files.h"

namespace ration::run {
namespace {

// One shape of "Scaling Data-Constrained Language Models" (2023), Table 15.
struct PublishedShape {
  std::string label;
  std::int64_t width, mlp_width, head_width, heads, layers;
  double total, block;
};

std::vector<PublishedShape> published_shapes() {
  std::istringstream lines(real_files().read(RATION_MODEL_SHAPES).value());
  std::vector<PublishedShape> shapes;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#') || line.starts_with("label")) continue;
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream cells(line);
    PublishedShape s;
    cells >> s.label >> s.width >> s.mlp_width >> s.head_width >> s.heads >> s.layers >> s.total >>
        s.block;
    shapes.push_back(s);
  }
  return shapes;
}

RunSpec gpt2_of(const PublishedShape& shape) {
  RunSpec spec;
  spec.family = "gpt2";
  spec.bias = true;
  spec.layers = shape.layers;
  spec.width = shape.width;
  spec.heads = shape.heads;
  spec.context = 2048;
  spec.vocab = 50257;
  return resolve(spec);
}

TEST(ParameterCounts, EqualThePublishedOnesUpToTheFinalNorm) {
  const std::vector<PublishedShape> shapes = published_shapes();
  ASSERT_EQ(shapes.size(), 54U);
  for (const PublishedShape& shape : shapes) {
    const RunSpec spec = gpt2_of(shape);
    const ParamCounts counts = count_params(spec);
    const double final_norm = 2.0 * static_cast<double>(shape.width);  // left out by the paper

    EXPECT_EQ(spec.mlp_width, shape.mlp_width) << shape.label;
    EXPECT_EQ(counts.block, shape.block + final_norm) << shape.label;
    EXPECT_EQ(counts.total, shape.total + final_norm) << shape.label;
    EXPECT_EQ(counts.embed, (50257.0 + 2048.0) * static_cast<double>(shape.width)) << shape.label;
  }
}

// P = 12 L d² (1 + 13/(12 d) + (V + s)/(12 L d)): the closed form of the same paper.
TEST(ParameterCounts, FollowTheClosedFormOfThePaper) {
  for (const PublishedShape& shape : published_shapes()) {
    const auto L = static_cast<double>(shape.layers);
    const auto d = static_cast<double>(shape.width);
    const double closed_form = 12 * L * d * d * (1 + 13 / (12 * d) + (50257 + 2048) / (12 * L * d));

    const double total = count_params(gpt2_of(shape)).total;
    EXPECT_NEAR((total - 2 * d) / closed_form, 1, 1e-14) << shape.label;  // rounding of six steps
  }
}

// L 2, d 8, H 2, T 16, V 10, F = the multiple of 8 nearest to 21.3 = 24; worked by hand.
RunSpec hand_worked() {
  RunSpec spec;
  spec.layers = 2;
  spec.width = 8;
  spec.heads = 2;
  spec.context = 16;
  spec.vocab = 10;
  return resolve(spec);
}

TEST(ParameterCounts, OfALlamaAreTheSumOfItsTensors) {
  const ParamCounts counts = count_params(hand_worked());

  // A layer: qkv 3·8·8, output 8·8, gate, up and down 3·8·24, two gains of 8.
  EXPECT_EQ(counts.block, 2 * (192 + 64 + 576 + 16) + 8);
  EXPECT_EQ(counts.embed, 80);
  EXPECT_EQ(counts.head, 80);
  EXPECT_EQ(counts.total, counts.block + 80);
}

TEST(ParameterCounts, CountAnUntiedHeadAsStored) {
  RunSpec spec = hand_worked();
  const double tied = count_params(spec).total;
  spec.tied = false;
  EXPECT_EQ(count_params(spec).total, tied + 80);
}

TEST(ParameterCounts, DropTheGateOfAnUngatedMlp) {
  RunSpec spec = hand_worked();
  const double gated = count_params(spec).block;
  spec.mlp = "relu2";
  EXPECT_EQ(count_params(spec).block, gated - 2 * 8 * 24);
}

TEST(ParameterCounts, OfGpt2WithoutBiasesKeepOnlyGainsBesideTheMatrices) {
  RunSpec spec = gpt2_of({.label = "", .width = 64, .heads = 4, .layers = 3});
  spec.bias = false;
  EXPECT_EQ(count_params(spec).block, 12 * 3 * 64 * 64 + 2 * 3 * 64 + 64);
}

TEST(FlopConventions, GiveTheNumbersWorkedByHand) {
  const RunSpec spec = hand_worked();
  const auto flops = [&](FlopConvention c) { return flops_per_token(spec, c).value; };

  EXPECT_EQ(flops(FlopConvention::kaplan), 6 * 1704);
  EXPECT_EQ(flops(FlopConvention::six_nd), 6 * 1784);
  EXPECT_EQ(flops(FlopConvention::six_nd_head), 6 * (1704 + 80));
  EXPECT_EQ(flops(FlopConvention::exact), 10704 + 6 * 2 * 8 * 16);
  EXPECT_EQ(flops(FlopConvention::palm), 10704 + 12 * 2 * 8 * 16);
  // Embedding and head 160 each; a layer: qkv 384, scores 256, softmax 96, values 256, output 128,
  // MLP 768; three passes.
  EXPECT_EQ(flops(FlopConvention::chinchilla), 3 * (160 + 2 * 1888 + 160));
}

// GPT-2 small at 1024 tokens is the usual example of a model FLOPs utilisation: 6 · 124.3 M + 6 ·
// 12 · 768 · 1024 = 0.80 GFLOP a token with causal attention, 0.86 GFLOP with the full square.
TEST(FlopConventions, AgreeWithTheUsualFiguresForGpt2Small) {
  RunSpec spec = gpt2_of({.label = "", .width = 768, .heads = 12, .layers = 12});
  spec.context = 1024;

  EXPECT_NEAR(count_params(spec).total, 124.4e6, 0.05e6);
  EXPECT_NEAR(flops_per_token(spec, FlopConvention::exact).value, 0.80e9, 0.005e9);
  EXPECT_NEAR(flops_per_token(spec, FlopConvention::palm).value, 0.86e9, 0.005e9);
}

TEST(FlopConventions, HaveNamesOfTheirOwn) {
  for (const FlopConventionName& one : kFlopConventions)
    EXPECT_EQ(std::count_if(kFlopConventions.begin(),
                            kFlopConventions.end(),
                            [&](const FlopConventionName& other) {
                              return other.name == one.name || other.convention == one.convention;
                            }),
              1)
        << one.name;
}

}  // namespace
}  // namespace ration::run
