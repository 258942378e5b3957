#pragma once

// What `ration region hull` found, as text, as JSON and as a page.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/region_figures.h"
#include "cli/region_points.h"
#include "report/page.h"

namespace ration::cli {

// Weights of the members at the points that were evaluated, beside the members and the centroid.
struct HullPoints {
  std::size_t members = 0;
  std::uint64_t seed = 0;  // of the samples
  std::vector<std::vector<double>> samples, triangle;

  // Members, the centroid, samples and the triangle, in this order.
  std::vector<RegionPoint> points() const;
};

// A number with its interval over held-out windows.
struct Measured {
  double value = 0;
  region::Interval interval;
};

struct HullOfCorpus {
  std::int64_t tokens = 0;
  std::size_t windows = 0;
  HullLosses losses;
  std::vector<double> triangle;
  Measured sample_below, centroid_below;  // shares of pairs with a member
  Measured centroid_less_members;         // nats: its loss less the members' mean
};

struct HullAnswer {
  HullPoints points;
  std::vector<std::string> runs;
  std::string text;  // "4096 held-out tokens of prose"
  std::vector<HullOfCorpus> corpora;
};

// `losses` are those of points.points().
HullAnswer hull_answer(HullPoints points, const PointLosses& losses);

std::string hull_text(const HullAnswer& answer);
Json hull_json(const HullAnswer& answer);
report::Page hull_page(const HullAnswer& answer);

}  // namespace ration::cli
