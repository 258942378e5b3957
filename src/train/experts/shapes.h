#pragma once

// The tensors of a layer's experts and of its router. Each expert's are tensors of their own, so
// that other tools can merge them; in the flat buffer the same tensor of all experts lies together,
// as the rows of a matrix.

#include <cstdint>
#include <vector>

#include "run/spec.h"
#include "train/parameters.h"

namespace ration::train::experts {

// Of a layer with experts (run::has_experts), in order:
//   ffn      h0.experts.3.gate.w [F,d] (swiglu), .up.w [F,d], .down.w [d,F], each with .b
//   adapter  h0.experts.3.adapter.down.w [r,d], .adapter.up.w [d,r], each with .b
//   lowrank  h0.experts.3.up.in.w [r,d], .up.out.w [F,r], and the same of gate and down
//   router   h0.router.ln.g, .ln.b [d]; .columns.w [E,d], .columns.g [d]; reinforce: .baseline.in
//            [d/8,d], .baseline.out [1,d/8], each with .b; skills: .skills.w [sources,E] alone
// .b of experts where the model has biases.
std::vector<TensorShape> tensor_shapes(const run::RunSpec& spec, std::int64_t layer);

}  // namespace ration::train::experts
