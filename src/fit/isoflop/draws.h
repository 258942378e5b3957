#pragma once

// The vertices again and again with their noise, and the errors that follow (isoflop.h, 3).

#include <vector>

#include "fit/isoflop/profile.h"

namespace ration::fit {

// x* of every level in every draw, NaN where the draw has none, by the noise of the losses alone.
struct VertexDraws {
  std::vector<std::vector<double>> vertices;  // [level][draw]
  std::vector<std::vector<double>> normals;   // standard normal, for scatter beyond that noise
};

// `found` knows its noise; `designs`: one a level.
VertexDraws draw_vertices(const IsoflopOptions& options,
                          const std::vector<Design>& designs,
                          const Isoflop& found);

// Errors of the vertices.
void find_errors(const std::vector<Design>& designs, const VertexDraws& draws, Isoflop& found);

}  // namespace ration::fit
