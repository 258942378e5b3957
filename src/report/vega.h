#pragma once

// Pieces of Vega-Lite specifications that the figures share.

#include "base/json.h"

namespace ration::report {

// The encoding of a quantity on an axis with its title.
Json axis(const char* field, const char* title, bool logarithmic);

// Six significant digits; null unless finite.
Json rounded(double value);

// A whole specification out of its parts. `description` is read to those who cannot see it.
Json top_level(Json spec, const char* description);

// A layer: one line through `rows`.
Json line(const Json& rows, const Json& x, const Json& y);

}  // namespace ration::report
