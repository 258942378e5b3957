#pragma once

// Whose matrix products the processor's passes take: the trainer's own, LibTorch's, or each where a
// rule says so. They give the same numbers up to rounding, and which is faster depends on machine
// and shapes, so a run measures them before its first step; what was taken is recorded, and a run
// that goes on takes the same again.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "run/spec.h"
#include "train/linear.h"
#include "train/step.h"

namespace ration::train {

// As in run.json and event logs: "own", "library", "mixed".
std::string_view name(Products products);
std::optional<Products> products_named(std::string_view name);

// What passes take unless told otherwise: own where vectors are wide, else mixed.
Products usual_products();

struct ProductsChoice {
  Products products = Products::own;
  std::string by;  // "setting", "measured", "rule", "checkpoint", "attempt 1"
  struct Timed {
    Products products;
    double seconds;  // the fastest forward and backward pass over the sequences computed at once
  };
  std::vector<Timed> measured = {};

  Json to_json() const;  // {"chosen":…,"by":…,"seconds":{…}}
};

// Measures on sequences of `batch`, with passes that are used for nothing else meanwhile; leaves
// them set to what was chosen, and adds to the gradients. By rule where measuring would take more
// than 2 % of `steps` steps, or matrices are so small that a library cannot win.
ProductsChoice measure_products(const run::RunSpec& spec,
                                Passes& passes,
                                const Batch& batch,
                                std::int64_t sequences_at_once,
                                std::int64_t steps);

}  // namespace ration::train
