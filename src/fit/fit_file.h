#pragma once

// A fit as the JSON document `ration.fit/1` (docs/fitting.md lists its members): what `ration fit`
// prints and stores, and what `ration plan` and `ration predict` read. Numbers are written so that
// they read back the same.

#include "base/json.h"
#include "fit/fit.h"

namespace ration::fit {

Json to_json(const Fit& fit);

// An error names `file` and the member that is missing or wrong.
Result<Fit> fit_from_json(const Json& document, const std::string& file);

}  // namespace ration::fit
