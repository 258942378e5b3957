#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/region_options.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "region/hull.h"

namespace ration::cli {
namespace {

using region::Gram;
using region::Nearest;

constexpr std::size_t kShown = 10;
// Of a model's length: distances from hulls that differ by less are equal but for rounding.
constexpr double kEqual = 1e-7;
constexpr double kWeak = 0.05;  // a least possible p above this is worth a line

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

// A label's mean cosine with a model, over members other than that model.
struct LabelCosine {
  double sum = 0;
  std::size_t members = 0;
  double mean() const { return sum / static_cast<double>(members); }
};

std::map<std::string, LabelCosine> label_cosines(const Gram& gram,
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

std::string best_label(const std::map<std::string, LabelCosine>& cosines) {
  std::string best;
  for (const auto& [label, cosine] : cosines)
    if (best.empty() || cosine.mean() > cosines.at(best).mean()) best = label;
  return best;
}

// How often the rule names a member's own label, with that member left out.
struct LeftOut {
  std::size_t right = 0, tried = 0;
};

LeftOut left_out(const Gram& gram, const std::vector<std::string>& labels) {
  LeftOut result;
  for (std::size_t i = 1; i < gram.models(); ++i) {
    const auto cosines = label_cosines(gram, i, labels);
    if (!cosines.contains(labels[i - 1])) continue;  // the only one of its label
    ++result.tried;
    if (best_label(cosines) == labels[i - 1]) ++result.right;
  }
  return result;
}

struct Place {
  Gram gram;  // the new model first
  Nearest nearest;
  // Each member's relative distance from the hull of all others, the new one among them: were the
  // new one a member like the rest, every order of these and its own would be as likely.
  std::vector<double> of_members;
  std::optional<Labels> labels;  // of the members

  std::size_t as_far() const {
    return static_cast<std::size_t>(
        std::count_if(of_members.begin(), of_members.end(), [&](double relative) {
          return relative >= nearest.relative - kEqual;
        }));
  }
  double least_p() const { return 1 / static_cast<double>(1 + of_members.size()); }
  double p() const {
    return static_cast<double>(1 + as_far()) / static_cast<double>(1 + of_members.size());
  }
  std::vector<std::size_t> by_cosine() const {
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
};

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
  const auto cosines = label_cosines(place.gram, 0, place.labels->labels);
  const LeftOut rule = left_out(place.gram, place.labels->labels);
  Json of_labels = Json::object();
  for (const auto& [label, cosine] : cosines) of_labels[label] = cosine.mean();
  document["label"] = {{"by", place.labels->by},
                       {"predicted", cosines.empty() ? Json() : Json(best_label(cosines))},
                       {"mean_cosines", std::move(of_labels)},
                       {"members_named_right", rule.right},
                       {"members_tried", rule.tried}};
  return document;
}

std::string hull_text(const Place& place) {
  std::string text = fmt::format("{} lies {:.4g} from the hull of {}: {:.4f} of its length\n",
                                 place.gram.names[0],
                                 place.nearest.distance,
                                 counted(place.gram.models() - 1, "member"),
                                 place.nearest.relative);
  if (place.nearest.gap > std::max(1e-3 * place.nearest.distance, kEqual * place.gram.norm(0)))
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
  const std::vector<std::string>& labels = place.labels->labels;
  const auto cosines = label_cosines(place.gram, 0, labels);
  std::vector<std::vector<std::string>> cells = {{place.labels->by, "members", "mean cosine"}};
  for (const auto& [label, cosine] : cosines)
    cells.push_back({label, fmt::format("{}", cosine.members), cell(cosine.mean())});
  const LeftOut rule = left_out(place.gram, labels);
  return fmt::format(
      "\n{}\nnearest by mean cosine: {}. The same rule names {} of {} members right, each left "
      "out in turn\n",
      table(cells),
      cosines.empty() ? "none" : best_label(cosines),
      rule.right,
      rule.tried);
}

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

// As the command line names them, or else those of the file of labels but the new one.
std::vector<std::string> members_of(const Arguments& arguments,
                                    const std::optional<Labels>& labels) {
  const std::string& model = arguments.positional.front();
  if (arguments.positional.size() > 1 || !labels)
    return {arguments.positional.begin() + 1, arguments.positional.end()};
  std::vector<std::string> members;
  for (const std::string& member : labels->models)
    if (!same_place(member, model))
      members.push_back(member);
    else
      arguments.console.note(
          fmt::format("note: {} stands among the labelled models: it is no "
                      "member of the hull that it is compared with",
                      without_control_bytes(member)));
  return members;
}

// The new model and the members that have a direction; `labels` keeps theirs.
Result<Gram> moved_models(const Gram& gram, std::optional<Labels>& labels, const Console& console) {
  std::vector<std::size_t> kept = {0};
  for (std::size_t i = 1; i < gram.models(); ++i)
    if (gram.norm(i) > 0)
      kept.push_back(i);
    else
      console.note(fmt::format("warning: {} equals the base in \"{}\": it is left out",
                               without_control_bytes(gram.names[i]),
                               gram.group));
  if (kept.size() == 1)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("all members equal the base in \"{}\"", gram.group),
                 .hint = "name models that were trained, or another --group"};
  Gram moved{
      .group = gram.group, .elements = gram.elements, .names = {}, .products = {}, .squares = {}};
  std::vector<std::string> of_kept;
  for (const std::size_t i : kept) {
    moved.names.push_back(gram.names[i]);
    if (labels && i > 0) of_kept.push_back(labels->labels[i - 1]);
    for (const std::size_t j : kept) {
      moved.products.push_back(gram.products[i * gram.models() + j]);
      moved.squares.push_back(gram.squares[i * gram.models() + j]);
    }
  }
  if (labels) labels->labels = std::move(of_kept);
  return moved;
}

Result<int> run_where(const Arguments& arguments) {
  Result<std::optional<Labels>> labels = read_labels(arguments);
  if (!labels) return std::move(labels).error();
  const std::vector<std::string> members = members_of(arguments, *labels);
  if (members.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "no member is named",
                 .hint =
                     "name the models whose hull it is after the new one, or a --labels FILE, "
                     "whose models are all taken then"};
  std::optional<Labels> chosen;
  if (*labels) {
    Result<Labels> found = labels_of(**labels, members);
    if (!found) return std::move(found).error();
    chosen = std::move(*found);
  }
  std::vector<std::string> models = {arguments.positional.front()};
  models.insert(models.end(), members.begin(), members.end());
  Result<std::vector<Gram>> grams = grams_of(arguments, models, true);
  if (!grams) return std::move(grams).error();
  Result<Gram> gram = chosen_group(arguments, std::move(*grams));
  if (!gram) return std::move(gram).error();
  if (!(gram->norm(0) > 0))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} equals the base in \"{}\"", models[0], gram->group),
                 .hint = "it has no direction; name a model that was trained"};
  Result<Gram> moved = moved_models(*gram, chosen, arguments.console);
  if (!moved) return std::move(moved).error();
  Result<Place> place = place_of(std::move(*moved), std::move(chosen));
  if (!place) return std::move(place).error();
  if (arguments.console.json)
    arguments.console.print_json(place_json(*place, *arguments.text("base")));
  else
    arguments.console.print(place_text(*place));
  return 0;
}

}  // namespace

Command region_where_command() {
  std::vector<Option> options = label_options(false);
  for (Option& option : region_options(true)) options.push_back(std::move(option));
  return {
      .name = "region where",
      .summary = "Say where a model lies among others: distance from their hull, nearest ones",
      .arguments = "NEW [MEMBER …]",
      .min_arguments = 1,
      .max_arguments = 10'000,
      .options = std::move(options),
      .description =
          "How far tau of NEW is from the nearest point of the convex hull of the members' tau, "
          "beside how far\neach member is from the hull of all others; the nearest members; "
          "and with labels the one whose\nmembers have the highest mean cosine. Without "
          "members, those of the file of labels are taken.\n\n"
          "  ration region where new prose code law --base base",
      .execute = run_where};
}

}  // namespace ration::cli
