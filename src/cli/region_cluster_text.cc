#include "cli/region_cluster_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/table.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

using region::LabelTest;

constexpr double kWeakWays = 100;  // labels that fall in fewer ways are told

// In how many ways labels can fall on units, names of labels aside, as a logarithm: p stays near
// or above one in so many, however many permutations are drawn.
double log_ways(const Labels& labels) {
  std::map<std::string, double> units_of;  // units, or models, of each label
  std::set<std::pair<std::string, std::string>> seen;
  for (std::size_t i = 0; i < labels.labels.size(); ++i)
    if (labels.units.empty() || seen.insert({labels.labels[i], labels.units[i]}).second)
      ++units_of[labels.labels[i]];
  double all = 0, ways = 0;
  std::map<double, double> alike;  // labels of so many units
  for (const auto& [label, units] : units_of) {
    all += units;
    ways -= std::lgamma(units + 1);
    ++alike[units];
  }
  for (const auto& [units, number] : alike) ways -= std::lgamma(number + 1);
  return ways + std::lgamma(all + 1);
}

std::string p_text(double p, std::int64_t permutations) {
  return permutations == 0 ? "" : fmt::format(", p = {:.2g}", p);
}

std::string test_text(const LabelTest& test, const std::string& by, std::size_t labels) {
  return fmt::format(
      "by {} ({}): accuracy {:.3f}, adjusted Rand index {:.3f}{}, silhouette {}\n"
      "cosine within {}, between {}, difference {}{}\n",
      by,
      counted(labels, "label"),
      test.accuracy,
      test.rand_index,
      p_text(test.rand_p, test.permutations),
      cell(test.silhouette),
      cell(test.contrast.within),
      cell(test.contrast.between),
      cell(test.contrast.difference),
      p_text(test.contrast_p, test.permutations));
}

Json test_json(const LabelTest& test,
               const std::string& by,
               const std::vector<std::string>& units) {
  const auto p = [&](double value) { return test.permutations == 0 ? Json() : Json(value); };
  return {{"by", by},
          {"units", units.empty() ? 0 : std::set(units.begin(), units.end()).size()},
          {"accuracy", test.accuracy},
          {"adjusted_rand", test.rand_index},
          {"adjusted_rand_p", p(test.rand_p)},
          {"silhouette", finite_or_null(test.silhouette)},
          {"cosine_within", finite_or_null(test.contrast.within)},
          {"cosine_between", finite_or_null(test.contrast.between)},
          {"cosine_difference", finite_or_null(test.contrast.difference)},
          {"cosine_difference_p", p(test.contrast_p)},
          {"permutations", test.permutations}};
}

}  // namespace

std::string ways_text(const Labels& labels) {
  const double ways = std::exp(log_ways(labels));
  if (ways > kWeakWays) return {};
  return fmt::format("labels fall on {} in {}: p stays near 1/{:.0f} or above\n",
                     labels.units.empty() ? "these models" : "these units",
                     counted(static_cast<std::size_t>(std::lround(ways)), "way"),
                     ways);
}

Json cluster_json(const ClusterAnswer& answer) {
  Json members = Json::array();
  for (std::size_t i = 0; i < answer.gram.models(); ++i) {
    members.push_back({{"model", answer.gram.names[i]}, {"cluster", answer.clusters.of[i]}});
    if (answer.labels) members.back()["label"] = answer.labels->labels[i];
  }
  Json document = {{"schema", "ration.region.cluster/1"},
                   {"base", answer.base},
                   {"group", answer.gram.group},
                   {"clusters", answer.clusters.k},
                   {"largest_gap", answer.clusters.largest_gap},
                   {"eigenvalues", answer.clusters.eigenvalues},
                   {"models", std::move(members)}};
  if (answer.test)
    document["test"] = test_json(*answer.test, answer.labels->by, answer.labels->units);
  return document;
}

std::string cluster_text(const ClusterAnswer& answer) {
  std::vector<std::vector<std::string>> cells = {{"model", "cluster"}};
  if (answer.labels) cells[0].push_back(answer.labels->by);
  for (std::size_t i = 0; i < answer.gram.models(); ++i) {
    cells.push_back({answer.gram.names[i], fmt::format("{}", answer.clusters.of[i] + 1)});
    if (answer.labels) cells.back().push_back(answer.labels->labels[i]);
  }
  std::string text = table(cells) + fmt::format("\n{}; the eigenvalues ask for {}\n",
                                                counted(answer.clusters.k, "cluster"),
                                                answer.clusters.largest_gap);
  if (answer.test) {
    const std::set<std::string> kinds(answer.labels->labels.begin(), answer.labels->labels.end());
    text += test_text(*answer.test, answer.labels->by, kinds.size());
    if (answer.test->permutations > 0) text += ways_text(*answer.labels);
  }
  return without_control_bytes(text);
}

}  // namespace ration::cli
