#pragma once

// The figures of the classical procedures, and the pages that hold them.

#include "fit/envelope.h"
#include "fit/isoflop.h"
#include "report/page.h"

namespace ration::report {

// Losses against size at each level of compute, with the curve through them and its vertex.
Figure profiles_figure(const fit::Isoflop& found);

// The best size against compute: vertices with their errors, the line with its interval.
Figure vertices_figure(const fit::Isoflop& found);

// The lowest loss of all curves against compute, and the sizes that win with the line through them.
Figure envelope_figure(const fit::Envelope& found);

Page isoflop_page(const fit::Isoflop& found);
Page envelope_page(const fit::Envelope& found);

}  // namespace ration::report
