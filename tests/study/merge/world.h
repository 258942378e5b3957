#pragma once

// Models that exist by name alone, and losses that a test makes up for them.

#include <functional>
#include <string>
#include <vector>

#include "study/merge/points.h"

namespace ration::study::test {

// Corpora c0, c1, …; a base for all replicas; own models "c0/0", ….
MergeModels made_up_models(std::size_t corpora, std::size_t replicas);

// R of a merged model; `models` are those of the recipe.
using MadeUp =
    std::function<double(const Json& recipe, std::size_t corpus, std::size_t replica, Half half)>;

// The base has a loss of 3 everywhere, an own model of 2 on its corpus and 3.5 on others, a merged
// model of 3 - R. Notes the lists that it was asked for in `parts`.
MergeEvaluate made_up_losses(MadeUp recovered, std::vector<std::string>* parts = nullptr);

}  // namespace ration::study::test
