#pragma once

// What a run holds in memory on a CPU, before it begins. docs/training.md has the formula in words.

#include <cstdint>
#include <exception>

#include "run/spec.h"

namespace ration::train {

struct MemoryNeed {
  double state_bytes = 0;       // weights, gradients, both moments
  double rearranged_bytes = 0;  // a transposed copy of every matrix that is multiplied
  double activation_bytes = 0;  // of the sequences computed at once, with their gradients
  double scratch_bytes = 0;     // of attention for each thread, norms' statistics, token ids
  double total() const { return state_bytes + rearranged_bytes + activation_bytes + scratch_bytes; }
};

// True for what C++ and LibTorch throw when memory runs out.
bool is_out_of_memory(const std::exception& thrown);

// For a resolved spec; LibTorch itself (110 MB) and the data are not in it, nor what its operators
// hold of experts that they compute: adapters, factors, the outputs of ensemble and dselect.
MemoryNeed memory_need(const run::RunSpec& spec, const run::Execution& execution);

// Sequences of `positions` tokens that go through the model together, of `sequences` in a
// micro-batch.
std::int64_t sequences_at_once(const run::RunSpec& spec,
                               std::int64_t sequences,
                               std::int64_t positions,
                               std::int64_t threads);

}  // namespace ration::train
