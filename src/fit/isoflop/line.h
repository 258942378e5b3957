#pragma once

// The line through the vertices, in the best case and in every draw (isoflop.h, 4).

#include "fit/isoflop/draws.h"

namespace ration::fit {

// line, scatter and scatter_known of `found`, whose vertices have their errors.
void find_line(const IsoflopOptions& options, const VertexDraws& draws, Isoflop& found);

}  // namespace ration::fit
