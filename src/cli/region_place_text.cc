#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/region_place.h"
#include "cli/table.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

constexpr std::size_t kShown = 10;  // members in text
constexpr double kWeak = 0.05;      // a least possible p above this is worth a line

std::string hull_text(const Place& place) {
  std::string text = fmt::format("{} lies {:.4g} from the hull of {}: {:.4f} of its length\n",
                                 place.gram.names[0],
                                 place.nearest.distance,
                                 counted(place.gram.models() - 1, "member"),
                                 place.nearest.relative);
  if (place.nearest.gap >
      std::max(1e-3 * place.nearest.distance, kEqualDistances * place.gram.norm(0)))
    text += fmt::format("rounding leaves open whether the hull is nearer, by up to {:.2g}\n",
                        place.nearest.gap);
  text += fmt::format(
      "members lie {:.4f} to {:.4f} of theirs from the hull of all others; {} of {} as far or "
      "farther, p = {:.2g}\n",
      place.of_members.front(),
      place.of_members.back(),
      place.as_far(),
      place.of_members.size(),
      place.p());
  if (place.least_p() > kWeak)
    text += fmt::format("with {} p cannot be below {:.2g}\n",
                        counted(place.of_members.size(), "member"),
                        place.least_p());
  return text;
}

std::string label_text(const Place& place) {
  const std::map<std::string, LabelCosine> cosines = place.label_cosines();
  std::vector<std::vector<std::string>> cells = {{place.labels->by, "members", "mean cosine"}};
  for (const auto& [label, cosine] : cosines)
    cells.push_back({label, fmt::format("{}", cosine.members), cell(cosine.mean())});
  const LeftOut rule = place.left_out();
  return fmt::format(
      "\n{}\nnearest by mean cosine: {}. The same rule names {} of {} members right, each left "
      "out in turn\n",
      table(cells),
      cosines.empty() ? "none" : place.best_label(),
      rule.right,
      rule.tried);
}

}  // namespace

std::string place_text(const Place& place) {
  std::vector<std::vector<std::string>> cells = {{"member", "cosine", "distance", "weight"}};
  if (place.labels) cells[0].push_back(place.labels->by);
  for (const std::size_t i : place.by_cosine()) {
    if (cells.size() > kShown) break;
    cells.push_back({place.gram.names[i],
                     cell(place.gram.cosine(0, i)),
                     fmt::format("{:.4g}", place.gram.distance(0, i)),
                     cell(place.nearest.weights[i - 1])});
    if (place.labels) cells.back().push_back(place.labels->labels[i - 1]);
  }
  std::string text = hull_text(place) + "\n" + table(cells);
  if (place.gram.models() - 1 > kShown)
    text += fmt::format("and {} more\n", place.gram.models() - 1 - kShown);
  if (place.labels) text += label_text(place);
  return without_control_bytes(text);
}

Json place_json(const Place& place, const std::string& base) {
  Json members = Json::array();
  for (const std::size_t i : place.by_cosine()) {
    members.push_back({{"model", place.gram.names[i]},
                       {"cosine", finite_or_null(place.gram.cosine(0, i))},
                       {"distance", place.gram.distance(0, i)},
                       {"weight", place.nearest.weights[i - 1]}});
    if (place.labels) members.back()["label"] = place.labels->labels[i - 1];
  }
  Json document = {{"schema", "ration.region.where/1"},
                   {"base", base},
                   {"group", place.gram.group},
                   {"model", place.gram.names[0]},
                   {"norm", place.gram.norm(0)},
                   {"distance", place.nearest.distance},
                   {"distance_gap", place.nearest.gap},
                   {"relative_distance", place.nearest.relative},
                   {"members_relative_distances", place.of_members},
                   {"p", place.p()},
                   {"least_p", place.least_p()},
                   {"members", std::move(members)}};
  if (!place.labels) return document;
  const std::map<std::string, LabelCosine> cosines = place.label_cosines();
  const LeftOut rule = place.left_out();
  Json of_labels = Json::object();
  for (const auto& [label, cosine] : cosines) of_labels[label] = cosine.mean();
  document["label"] = {{"by", place.labels->by},
                       {"predicted", cosines.empty() ? Json() : Json(place.best_label())},
                       {"mean_cosines", std::move(of_labels)},
                       {"members_named_right", rule.right},
                       {"members_tried", rule.tried}};
  return document;
}

}  // namespace ration::cli
