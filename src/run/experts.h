#pragma once

// The settings of routed experts (docs/experts.md): which layers have them, of what size they are,
// what routing them costs, and which settings go together.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "run/spec.h"

namespace ration::run {

// The run has layers with experts of their own tensors. router = dense of kind ffn has none: it is
// the model without experts.
bool has_experts(const RunSpec& spec);
bool has_experts(const RunSpec& spec, std::int64_t layer);  // from 0

// Experts stored in such a layer: E, or 1 where there is nothing to choose.
std::int64_t stored_experts(const RunSpec& spec);
// Width inside one expert: F of an MLP, the rank of an adapter or of factors; E times that for
// dense_wide.
std::int64_t expert_width(const RunSpec& spec);

// The source of a sequence chooses: 0 the main data, i the i-th source of `aux`.
bool reads_sources(const RunSpec& spec);
std::int64_t sources_of(const RunSpec& spec);

// The hidden states of a sequence choose, so that its first chunk has nothing to be routed by.
bool reads_states(const RunSpec& spec);
// Tensors of the router itself; false where its choice is given or drawn.
bool has_router(const RunSpec& spec);
// Rows of the router's matrix: E, or the binary digits of an expert's number for dselect.
std::int64_t router_columns(const RunSpec& spec);
// Width of the net that learns what loss to expect, of reinforce.
std::int64_t baseline_width(const RunSpec& spec);

// Numbers of a layer with experts.
struct ExpertCounts {
  double expert = 0;  // P_e
  double router = 0;
  double shared = 0;  // of an MLP that all experts share, without its experts
};
ExpertCounts count_experts(const RunSpec& spec);

// Multiply-adds of the forward pass a token beyond those of a single expert, of one layer. With T_u
// tokens routed together: the router's (d E) / T_u, and merging E P_e / T_u or the outputs of E - 1
// more experts, with factors each through the matrices that all share.
double routing_overhead(const RunSpec& spec);

// Sets to their defaults what the router does not read; idempotent. Part of resolve().
void resolve_experts(RunSpec& spec);

// Problems of these settings that no single range shows. Part of check().
std::vector<Error> check_experts(const RunSpec& spec);

// Where `execution` asks for these experts on a device that does not compute them.
std::optional<Error> check_device(const RunSpec& spec, const Execution& execution);
// The same, and all else that a worker would refuse of the two together.
std::vector<Error> check_experts(const RunSpec& spec, const Execution& execution);

}  // namespace ration::run
