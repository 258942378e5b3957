#pragma once

// Where a model lies among others: distance from their hull, the nearest ones, the label whose
// models it is like.

#include <map>
#include <string>
#include <vector>

#include "cli/region_options.h"
#include "region/hull.h"

namespace ration::cli {

// Of a model's length: distances from hulls that differ by less are equal but for rounding.
inline constexpr double kEqualDistances = 1e-7;

// A label's mean cosine with a model, over members other than that model.
struct LabelCosine {
  double sum = 0;
  std::size_t members = 0;
  double mean() const { return sum / static_cast<double>(members); }
};

// How often the rule of the highest mean cosine names a member's own label, that member left out.
struct LeftOut {
  std::size_t right = 0, tried = 0;
};

struct Place {
  region::Gram gram;  // the new model first
  region::Nearest nearest;
  // Each member's relative distance from the hull of all others, the new one among them: were the
  // new one a member like the rest, every order of these and its own would be as likely.
  std::vector<double> of_members;  // ascending
  std::optional<Labels> labels;    // of the members

  std::size_t as_far() const;  // members as far or farther than the new model
  double least_p() const { return 1 / static_cast<double>(1 + of_members.size()); }
  double p() const {
    return static_cast<double>(1 + as_far()) / static_cast<double>(1 + of_members.size());
  }
  std::vector<std::size_t> by_cosine() const;  // places of the members, the most alike first
  // With labels: those of the new model, the best of them (empty without any), and the rule tried
  // on the members.
  std::map<std::string, LabelCosine> label_cosines() const;
  std::string best_label() const;
  LeftOut left_out() const;
};

// `gram` holds the new model and then the members, each of which has a direction.
Result<Place> place_of(region::Gram gram, std::optional<Labels> labels);

std::string place_text(const Place& place);
Json place_json(const Place& place, const std::string& base);

}  // namespace ration::cli
