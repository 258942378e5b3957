#pragma once

// Models with experts, small enough to be compared number by number.

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "run/experts.h"
#include "train/small_models.h"

namespace ration::test {

inline constexpr int kEndToken = 3;

// Chunks of 8 in sequences of 20: one that nothing routes, one whole and one shorter that are
// routed.
inline run::RunSpec expert_spec(const std::string& router,
                                const std::string& kind = "ffn",
                                const std::string& family = "gpt2") {
  run::RunSpec spec = small_spec(family, "auto", 20);
  spec.mlp_width = 32;
  spec.batch_sequences = 4;
  spec.tokens = 4 * 20 * 10;
  spec.router = router;
  spec.expert_kind = kind;
  spec.experts = 4;
  spec.expert_rank = 3;
  spec.expert_chunk = 8;
  if (run::reads_sources(spec)) {
    spec.aux = std::string(64, 'a') + ":1:0:0," + std::string(64, 'b') + ":1:0:0";
    spec.aux_share = 0.5;
  }
  return run::resolve(spec);
}

// Router tensors of a size at which routing matters; they begin near an equal choice.
inline void sharpen_routers(train::Parameters& parameters, double gain = 0.5) {
  for (const auto& entry : parameters.entries())
    if (entry.shape.name.ends_with("router.columns.g")) entry.value.detach().fill_(gain);
}

inline std::vector<std::string> all_routers() {
  return {"smear",
          "ensemble",
          "tag",
          "hash",
          "random",
          "top1",
          "st_gumbel",
          "reinforce",
          "dselect",
          "skills",
          "dense_wide"};
}

// A batch with sources, and with documents that end within sequences.
inline train::Batch expert_batch(const run::RunSpec& spec,
                                 std::int64_t sequences,
                                 std::int64_t positions) {
  train::Batch batch = batch_of(spec, sequences, positions);
  batch.sources = at::arange(sequences, at::kLong).remainder(run::sources_of(spec));
  batch.end_token = kEndToken;
  return batch;
}

inline train::experts::About about(const train::Batch& batch) {
  return {.sources = batch.sources, .end_token = batch.end_token};
}

}  // namespace ration::test
