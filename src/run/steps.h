#pragma once

// How many optimiser steps a run takes, and where its schedule turns.

#include <cstdint>
#include <string_view>
#include <vector>

#include "run/spec.h"

namespace ration::run {

// Sequences of `context` tokens that `tokens` take; the last one counts whole.
std::int64_t sequences_of(const RunSpec& spec);
// The last step may be short.
std::int64_t steps_of(const RunSpec& spec);
// Of these, rounded to nearest: the linear warm-up, and the final decay of `wsd`.
std::int64_t warmup_steps(const RunSpec& spec);
std::int64_t decay_steps(const RunSpec& spec);

// The steps of a keep_steps setting; words that are no numbers are passed over.
std::vector<std::int64_t> kept_steps(std::string_view list);
// True for "", and for steps from 1 on with commas between them.
bool is_list_of_steps(std::string_view list);

}  // namespace ration::run
