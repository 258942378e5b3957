#pragma once

// Whether points inside a hull are better than its members, than models of other groups, and than
// models that no training made.

#include <string>
#include <vector>

#include "study/region/findings.h"
#include "study/region/points.h"

namespace ration::study {

// The losses of a region's target that are compared.
struct HullLosses {
  Region region;
  std::vector<double> members, hull, others, random, shuffled;
  std::vector<std::string> corpus_of_other;  // beside others
  double centroid = 0;
  double start = 0;  // theta_0
};

std::vector<HullLosses> hull_losses(const RegionTable& table,
                                    const RegionModels& models,
                                    std::span<const Region> regions,
                                    const Controls& controls,
                                    const RegionLosses& losses);

// P(x < y) + P(x = y)/2 of a region. Points of a hull rest on the same members, so that two
// intervals are told: over what is compared with them (members; others by corpus), and over the
// hull's samples, given the members.
struct Better {
  std::string x, y;
  Estimate over_models;     // no interval where one model alone is compared
  Estimate over_samples;    // of x = "hull"
  std::int64_t models = 0;  // units that over_models resamples, of x = "hull" those of y
};
std::vector<Better> better_of(const RegionTable& table, const HullLosses& losses);

// Each region's, and of each level the mean over its regions with Student's interval: a region is
// one unit, however many of its hull's points were looked at.
std::vector<Finding> hull_findings(const RegionTable& table, std::span<const HullLosses> losses);

}  // namespace ration::study
