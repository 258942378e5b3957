#include "cli/region_gram_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "cli/page_file.h"
#include "cli/region_options.h"
#include "region/plane_map.h"
#include "report/model_figures.h"

namespace ration::cli {
namespace {

using region::Gram;

constexpr std::size_t kMapped = 64;  // models whose single groups are drawn
constexpr std::size_t kNamed = 20;   // models that a legend can name

// Mean, least and most of what pairs have; NaN where none has any.
struct Spread {
  double sum = 0, least = 0, most = 0;
  std::size_t count = 0;

  void add(double value) {
    if (std::isnan(value)) return;
    least = count == 0 ? value : std::min(least, value);
    most = count == 0 ? value : std::max(most, value);
    sum += value;
    ++count;
  }
  double or_none(double value) const {
    return count == 0 ? std::numeric_limits<double>::quiet_NaN() : value;
  }
  double mean() const { return or_none(sum / static_cast<double>(count)); }
};

std::string length(double value) { return std::isnan(value) ? "-" : fmt::format("{:.4g}", value); }

std::string numbered(const Gram& gram, std::size_t i) {
  return fmt::format("{} {}", i + 1, gram.names[i]);
}

// A model's cosine with itself is 1 and would widen the scale; its place stays blank.
report::Figure cosine_figure(const Gram& gram) {
  report::Matrix matrix{
      .name = "cosines-" + report::figure_name(gram.group),
      .caption = fmt::format("Cosines of tau over \"{}\". Blank: a model with itself, and one that "
                             "equals the base.",
                             gram.group),
      .quantity = "cosine",
      .models = {},
      .values = gram.cosines()};
  for (std::size_t i = 0; i < gram.models(); ++i) {
    matrix.models.push_back(numbered(gram, i));
    matrix.values[i * gram.models() + i] = std::numeric_limits<double>::quiet_NaN();
  }
  return report::matrix_figure(matrix);
}

report::Figure distance_figure(const Gram& gram) {
  report::Matrix matrix{.name = "distances-" + report::figure_name(gram.group),
                        .caption = fmt::format("Distances between models over \"{}\".", gram.group),
                        .quantity = "distance",
                        .models = {},
                        .values = {}};
  for (std::size_t i = 0; i < gram.models(); ++i) {
    matrix.models.push_back(numbered(gram, i));
    for (std::size_t j = 0; j < gram.models(); ++j) matrix.values.push_back(gram.distance(i, j));
  }
  return report::matrix_figure(matrix);
}

report::Figure map_figure(const Gram& gram) {
  const region::PlaneMap map = region::plane_map(gram.squares, gram.models());
  report::Plane plane{.name = "map",
                      .caption = fmt::format("Distances between models in two dimensions, which "
                                             "hold {:.0f} % of the variance.",
                                             100 * map.share),
                      .colour = gram.models() <= kNamed ? "model" : "",
                      .shape = "",
                      .points = {}};
  for (std::size_t i = 0; i < gram.models(); ++i)
    plane.points.push_back({.x = map.x[i],
                            .y = map.y[i],
                            .model = numbered(gram, i),
                            .colour = numbered(gram, i),
                            .shape = ""});
  return report::plane_figure(plane);
}

report::Section group_section(const Gram& gram) {
  report::Section section{.title = gram.group == "all" ? "All tensors" : "Group: " + gram.group,
                          .paragraphs = {},
                          .tables = {},
                          .figures = {cosine_figure(gram), distance_figure(gram)}};
  if (gram.group != "all") return section;
  if (gram.models() <= kMapped) section.tables.push_back(page_table(model_cells(gram)));
  section.figures.push_back(map_figure(gram));
  return section;
}

}  // namespace

Cells group_cells(const std::vector<Gram>& grams) {
  Cells cells = {{"group", "elements", "||tau||", "distance", "cosine", "least", "most"}};
  for (const Gram& gram : grams) {
    Spread norms, distances, cosines;
    for (std::size_t i = 0; i < gram.models(); ++i) {
      norms.add(gram.norm(i));
      for (std::size_t j = 0; j < i; ++j) {
        distances.add(gram.distance(i, j));
        cosines.add(gram.cosine(i, j));
      }
    }
    cells.push_back({gram.group,
                     fmt::format("{}", gram.elements),
                     length(norms.mean()),
                     length(distances.mean()),
                     cell(cosines.mean()),
                     cell(cosines.or_none(cosines.least)),
                     cell(cosines.or_none(cosines.most))});
  }
  return cells;
}

Cells model_cells(const Gram& gram) {
  Cells cells = {{"model", "||tau||"}};
  for (std::size_t i = 0; i < gram.models(); ++i) {
    cells[0].push_back(fmt::format("cos {}", i + 1));
    cells.push_back({numbered(gram, i), length(gram.norm(i))});
    for (std::size_t j = 0; j < gram.models(); ++j) cells.back().push_back(cell(gram.cosine(i, j)));
  }
  return cells;
}

report::Page gram_page(const std::string& base, const std::vector<Gram>& grams) {
  const std::size_t models = grams.front().models();
  report::Page page{.title = "Models in weight space", .sections = {}};
  page.sections.push_back(
      {.title = "Groups of tensors",
       .paragraphs = {fmt::format(
           "{} around {}. tau = model - base. Lengths are means over models; distances and cosines "
           "are means over pairs, least and most those of the pairs' cosines.",
           counted(models, "model"),
           base)},
       .tables = {page_table(group_cells(grams))},
       .figures = {}});
  for (const Gram& gram : grams)
    if (gram.group == "all" || models <= kMapped) page.sections.push_back(group_section(gram));
  if (models > kMapped)
    page.sections.front().paragraphs.push_back(
        fmt::format("Maps of single groups are left out: there are more than {} models.", kMapped));
  return page;
}

}  // namespace ration::cli
