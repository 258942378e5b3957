#pragma once

// A case of tests/vectors/gpt_reference.json: its model, weights and batches, as gpt_reference.md
// defines them.

#include "base/json.h"
#include "run/spec.h"
#include "train/parameters.h"
#include "train/step.h"

namespace ration::test {

run::RunSpec reference_spec(const Json& config);
void set_reference_weights(train::Parameters& parameters, const Json& param_order);
train::Batch reference_batch(const Json& config, std::int64_t step);

}  // namespace ration::test
