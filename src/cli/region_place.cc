#include "cli/region_place.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ration::cli {
namespace {

using region::Gram;
using region::Nearest;

// The hull of the `members`' points nearest to model `of`.
Result<Nearest> nearest_of(const Gram& gram,
                           std::size_t of,
                           const std::vector<std::size_t>& members) {
  const std::size_t n = gram.models();
  std::vector<double> between, to;
  for (const std::size_t a : members) {
    for (const std::size_t b : members) between.push_back(gram.squares[a * n + b]);
    to.push_back(gram.squares[of * n + a]);
  }
  return region::nearest_in_hull({.between = between, .to = to}, gram.products[of * n + of]);
}

std::map<std::string, LabelCosine> cosines_with(const Gram& gram,
                                                std::size_t of,
                                                const std::vector<std::string>& labels) {
  std::map<std::string, LabelCosine> found;
  for (std::size_t i = 1; i < gram.models(); ++i) {  // model 0 is the new one
    const double cosine = gram.cosine(of, i);
    if (i == of || std::isnan(cosine)) continue;
    found[labels[i - 1]].sum += cosine;
    found[labels[i - 1]].members += 1;
  }
  return found;
}

std::string best_of(const std::map<std::string, LabelCosine>& cosines) {
  std::string best;
  for (const auto& [label, cosine] : cosines)
    if (best.empty() || cosine.mean() > cosines.at(best).mean()) best = label;
  return best;
}

}  // namespace

std::size_t Place::as_far() const {
  return static_cast<std::size_t>(
      std::count_if(of_members.begin(), of_members.end(), [&](double relative) {
        return relative >= nearest.relative - kEqualDistances;
      }));
}

std::vector<std::size_t> Place::by_cosine() const {
  std::vector<std::size_t> order(gram.models() - 1);
  std::iota(order.begin(), order.end(), std::size_t{1});
  const auto key = [&](std::size_t i) {
    const double cosine = gram.cosine(0, i);
    return std::isnan(cosine) ? -std::numeric_limits<double>::infinity() : cosine;
  };
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
  return order;
}

std::map<std::string, LabelCosine> Place::label_cosines() const {
  return cosines_with(gram, 0, labels->labels);
}

std::string Place::best_label() const { return best_of(label_cosines()); }

LeftOut Place::left_out() const {
  LeftOut result;
  for (std::size_t i = 1; i < gram.models(); ++i) {
    const std::string& own = labels->labels[i - 1];
    const std::map<std::string, LabelCosine> cosines = cosines_with(gram, i, labels->labels);
    if (!cosines.contains(own)) continue;  // the only one of its label
    ++result.tried;
    if (best_of(cosines) == own) ++result.right;
  }
  return result;
}

Result<Place> place_of(Gram gram, std::optional<Labels> labels) {
  const std::size_t n = gram.models();
  std::vector<std::size_t> members(n - 1);
  std::iota(members.begin(), members.end(), std::size_t{1});
  Result<Nearest> nearest = nearest_of(gram, 0, members);
  if (!nearest) return std::move(nearest).error();
  Place place{.gram = std::move(gram),
              .nearest = std::move(*nearest),
              .of_members = {},
              .labels = std::move(labels)};
  for (const std::size_t member : members) {
    std::vector<std::size_t> others = {0};
    std::copy_if(members.begin(), members.end(), std::back_inserter(others), [&](std::size_t i) {
      return i != member;
    });
    Result<Nearest> of_member = nearest_of(place.gram, member, others);
    if (!of_member) return std::move(of_member).error();
    place.of_members.push_back(of_member->relative);
  }
  std::sort(place.of_members.begin(), place.of_members.end());
  return place;
}

}  // namespace ration::cli
