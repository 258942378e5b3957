#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "region/gram.h"

namespace ration::region {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Groups, OfRationsTensors) {
  EXPECT_THAT(groups_of("wte"), ElementsAre("embedding"));
  EXPECT_THAT(groups_of("wpe"), ElementsAre("embedding"));
  EXPECT_THAT(groups_of("h0.attn.qkv.w"), ElementsAre("attention", "layer 0"));
  EXPECT_THAT(groups_of("h11.mlp.down.b"), ElementsAre("mlp", "layer 11"));
  EXPECT_THAT(groups_of("h3.ln2.g"), ElementsAre("norm", "layer 3"));
  EXPECT_THAT(groups_of("lnf.b"), ElementsAre("norm"));
  EXPECT_THAT(groups_of("head.w"), ElementsAre("head"));
}

TEST(Groups, OfHuggingFacesGpt2) {
  EXPECT_THAT(groups_of("transformer.wte.weight"), ElementsAre("embedding"));
  EXPECT_THAT(groups_of("h.0.attn.c_attn.weight"), ElementsAre("attention", "layer 0"));
  EXPECT_THAT(groups_of("transformer.h.10.mlp.c_fc.bias"), ElementsAre("mlp", "layer 10"));
  EXPECT_THAT(groups_of("transformer.h.1.ln_1.weight"), ElementsAre("norm", "layer 1"));
  EXPECT_THAT(groups_of("ln_f.weight"), ElementsAre("norm"));
  EXPECT_THAT(groups_of("lm_head.weight"), ElementsAre("head"));
}

TEST(Groups, OfHuggingFacesLlama) {
  EXPECT_THAT(groups_of("model.embed_tokens.weight"), ElementsAre("embedding"));
  EXPECT_THAT(groups_of("model.layers.2.self_attn.q_proj.weight"),
              ElementsAre("attention", "layer 2"));
  EXPECT_THAT(groups_of("model.layers.2.self_attn.q_norm.weight"), ElementsAre("norm", "layer 2"));
  EXPECT_THAT(groups_of("model.layers.2.mlp.gate_proj.weight"), ElementsAre("mlp", "layer 2"));
  EXPECT_THAT(groups_of("model.layers.2.input_layernorm.weight"), ElementsAre("norm", "layer 2"));
  EXPECT_THAT(groups_of("model.norm.weight"), ElementsAre("norm"));
}

TEST(Groups, OfHuggingFacesRoberta) {
  EXPECT_THAT(groups_of("roberta.embeddings.word_embeddings.weight"), ElementsAre("embedding"));
  EXPECT_THAT(groups_of("roberta.encoder.layer.0.attention.output.dense.weight"),
              ElementsAre("attention", "layer 0"));
  EXPECT_THAT(groups_of("roberta.encoder.layer.0.output.dense.weight"),
              ElementsAre("mlp", "layer 0"));
  EXPECT_THAT(groups_of("roberta.encoder.layer.0.output.LayerNorm.bias"),
              ElementsAre("norm", "layer 0"));
}

TEST(Groups, OfNamesThatSayNothing) {
  EXPECT_THAT(groups_of("w"), IsEmpty());
  EXPECT_THAT(groups_of("hidden.h2o"), IsEmpty());
}

}  // namespace
}  // namespace ration::region
