// The page of `ration region cluster`.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "base/text.h"
#include "cli/page_file.h"
#include "cli/region_cluster_text.h"
#include "region/plane_map.h"
#include "report/model_figures.h"

namespace ration::cli {
namespace {

// By cluster, then by label.
std::vector<std::size_t> in_order(const ClusterAnswer& answer) {
  std::vector<std::size_t> order(answer.gram.models());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&](std::size_t i) {
    return std::tuple(answer.clusters.of[i], answer.labels ? answer.labels->labels[i] : "");
  };
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

report::Figure cosine_figure(const ClusterAnswer& answer) {
  report::Matrix matrix{
      .name = "cosines",
      .caption =
          "Cosines of tau, ordered by cluster: squares along the diagonal are clusters. The "
          "diagonal itself, 1 for every model, is left blank.",
      .quantity = "cosine",
      .models = {},
      .values = {}};
  const std::vector<std::size_t> order = in_order(answer);
  for (const std::size_t i : order) {
    matrix.models.push_back(answer.gram.names[i]);
    for (const std::size_t j : order)
      matrix.values.push_back(i == j ? std::numeric_limits<double>::quiet_NaN()
                                     : answer.gram.cosine(i, j));
  }
  return report::matrix_figure(matrix);
}

report::Figure map_figure(const ClusterAnswer& answer) {
  const region::PlaneMap map = region::plane_map(answer.gram.squares, answer.gram.models());
  report::Plane plane{
      .name = "map",
      .caption = fmt::format("Distances between models in two dimensions, which hold {:.0f} % of "
                             "the variance. Clusters were found by all cosines, not in this plane.",
                             100 * map.share),
      .colour = answer.labels ? answer.labels->by : "cluster",
      .shape = answer.labels ? "cluster" : "",
      .points = {}};
  for (std::size_t i = 0; i < answer.gram.models(); ++i) {
    const std::string cluster = fmt::format("{}", answer.clusters.of[i] + 1);
    plane.points.push_back({.x = map.x[i],
                            .y = map.y[i],
                            .model = answer.gram.names[i],
                            .colour = answer.labels ? answer.labels->labels[i] : cluster,
                            .shape = answer.labels ? cluster : ""});
  }
  return report::plane_figure(plane);
}

std::string p_cell(double p, const region::LabelTest& test) {
  return test.permutations == 0 ? "-" : fmt::format("{:.2g}", p);
}

report::Table test_table(const region::LabelTest& test) {
  return {.header = {"statistic", "value", "p"},
          .rows = {{"accuracy", cell(test.accuracy), "-"},
                   {"adjusted Rand index", cell(test.rand_index), p_cell(test.rand_p, test)},
                   {"silhouette of the labels", cell(test.silhouette), "-"},
                   {"mean cosine within labels", cell(test.contrast.within), "-"},
                   {"mean cosine between labels", cell(test.contrast.between), "-"},
                   {"difference of the two",
                    cell(test.contrast.difference),
                    p_cell(test.contrast_p, test)}}};
}

report::Section test_section(const ClusterAnswer& answer) {
  const region::LabelTest& test = *answer.test;
  report::Section section{.title = "Do clusters follow \"" + answer.labels->by + "\"?",
                          .paragraphs = {},
                          .tables = {test_table(test)},
                          .figures = {}};
  if (test.permutations == 0) return section;
  section.paragraphs.push_back(
      fmt::format("p = (1 + permutations of the labels that reach the value) / (1 + {}).{}",
                  test.permutations,
                  answer.labels->units.empty() ? "" : " All models of one unit move together."));
  if (const std::string few = ways_text(*answer.labels); !few.empty())
    section.paragraphs.push_back(few);
  return section;
}

report::Table member_table(const ClusterAnswer& answer) {
  report::Table members{.header = {"model", "cluster"}, .rows = {}};
  if (answer.labels) members.header.push_back(answer.labels->by);
  for (const std::size_t i : in_order(answer)) {
    members.rows.push_back({answer.gram.names[i], fmt::format("{}", answer.clusters.of[i] + 1)});
    if (answer.labels) members.rows.back().push_back(answer.labels->labels[i]);
  }
  return members;
}

}  // namespace

report::Page cluster_page(const ClusterAnswer& answer) {
  report::Page page{.title = "Clusters of models in weight space", .sections = {}};
  page.sections.push_back(
      {.title = "Clusters",
       .paragraphs = {fmt::format("{} around {}, by the cosines of tau = model - base over \"{}\": "
                                  "{}; the largest gap of eigenvalues asks for {}.",
                                  counted(answer.gram.models(), "model"),
                                  answer.base,
                                  answer.gram.group,
                                  counted(answer.clusters.k, "cluster"),
                                  answer.clusters.largest_gap)},
       .tables = {},
       .figures = {map_figure(answer), cosine_figure(answer)}});
  if (answer.test) page.sections.push_back(test_section(answer));
  page.sections.push_back(
      {.title = "Members", .paragraphs = {}, .tables = {member_table(answer)}, .figures = {}});
  return page;
}

}  // namespace ration::cli
