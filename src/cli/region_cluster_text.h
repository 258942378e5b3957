#pragma once

// What `ration region cluster` found, as text, as JSON and as a page.

#include <optional>
#include <string>

#include "cli/region_options.h"
#include "region/cluster.h"
#include "report/page.h"

namespace ration::cli {

struct ClusterAnswer {
  std::string base;
  region::Gram gram;  // of the models that have a direction; all below is in their order
  region::Clusters clusters;
  std::optional<Labels> labels;
  std::optional<region::LabelTest> test;  // of the labels
};

std::string cluster_text(const ClusterAnswer& answer);
Json cluster_json(const ClusterAnswer& answer);
// The models in the plane by cluster and label, their cosines in that order, and the tests.
report::Page cluster_page(const ClusterAnswer& answer);

// Where labels can fall on the models, or on their units, in few ways, a line that says so: p
// stays near one in so many, however many permutations are drawn. Empty where p can be small.
std::string ways_text(const Labels& labels);

}  // namespace ration::cli
