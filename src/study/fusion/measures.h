#pragma once

// The losses of an experiment's bases: as they are, probed, and fine-tuned.

#include "study/fusion/driver.h"

namespace ration::study {

// Whether an arm's losses of this kind are wanted; controls and theta_0 have what any arm may have.
bool measured(const FusionStudy& study, const std::string& arm, Measure measure);

// Bases that are the same weights are evaluated and tuned once. In the order of measures, bases and
// corpora. Errors: those of the steps; a loss that did not come back (ErrorKind::internal).
Result<std::vector<FusionLoss>> measure_bases(const FusionStudy& study,
                                              const FusionGround& ground,
                                              const FusionSteps& steps,
                                              std::span<const FusionBase> bases);

}  // namespace ration::study
