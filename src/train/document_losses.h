#pragma once

// How well a model predicts each of many documents, none of which sees another.
//
// A document of n tokens, its end token among them, has n predictions. The first is made from the
// end token, as behind every document but the first in training; the others from what stands before
// them in the document. Windows of T tokens do not overlap, so what stands before the window is not
// seen: a document of T tokens has the loss of one held-out window.
//
// Windows of several documents go through the model together, those of similar length, so that a
// short document costs about what it holds: at most 7 tokens a window are computed in vain.

#include <cstdint>
#include <span>
#include <vector>

#include "train/passes.h"

namespace ration::train {

// Of each document the sum of -ln p over its tokens, nats. Document i is [starts[i], starts[i+1])
// of a sequence of which `tokens` holds [starts.front(), starts.back()); none is empty. `context`
// is T. `source` is what routers of experts are told of all of them. Which documents come together
// changes a sum by no more than rounding.
std::vector<double> document_losses(Passes& passes,
                                    std::span<const std::int32_t> tokens,
                                    std::span<const std::uint64_t> starts,
                                    std::int32_t end_token,
                                    std::int64_t context,
                                    std::int64_t source = 0);

}  // namespace ration::train
