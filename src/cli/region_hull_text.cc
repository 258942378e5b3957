#include "cli/region_hull_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "cli/page_file.h"
#include "cli/region_options.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "report/model_figures.h"

namespace ration::cli {
namespace {

using Cells = std::vector<std::vector<std::string>>;

double or_infinite(double loss) {
  return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
}

std::string range(std::vector<double> losses) {
  if (losses.empty()) return "-";
  for (double& loss : losses) loss = or_infinite(loss);
  const auto [least, most] = std::minmax_element(losses.begin(), losses.end());
  return fmt::format("{:.4f} to {:.4f}", *least, *most);
}

Cells loss_cells(const HullAnswer& answer) {
  Cells cells = {{"corpus", "members", "samples", "centroid"}};
  for (const HullOfCorpus& each : answer.corpora)
    cells.push_back({each.losses.corpus,
                     range(each.losses.members),
                     range(each.losses.samples),
                     cell(each.losses.centroid, 4)});
  return cells;
}

Cells measure_cells(const HullAnswer& answer) {
  Cells cells = {{"corpus", "measure", "value", "95 % interval"}};
  for (const HullOfCorpus& each : answer.corpora) {
    const auto add = [&](const char* what, const Measured& measured, int decimals) {
      cells.push_back({each.losses.corpus,
                       what,
                       cell(measured.value, decimals),
                       interval_cell(measured.interval, decimals)});
    };
    add("sample below member", each.sample_below, 3);
    add("centroid below member", each.centroid_below, 3);
    add("centroid - mean of members/nats", each.centroid_less_members, 4);
  }
  return cells;
}

std::string triangle_text(const HullAnswer& answer) {
  std::vector<std::vector<std::string>> cells = {
      {"triangle", "lowest", "at weights", "highest", "at weights"}};
  for (const HullOfCorpus& of_corpus : answer.corpora) {
    std::vector<double> known = of_corpus.triangle;
    for (double& loss : known) loss = or_infinite(loss);
    const auto [least, most] = std::minmax_element(known.begin(), known.end());
    const auto weights = [&](auto at) {
      const std::vector<double>& w =
          answer.points.triangle[static_cast<std::size_t>(at - known.begin())];
      return fmt::format("{:.1f} {:.1f} {:.1f}", w[0], w[1], w[2]);
    };
    cells.push_back(
        {of_corpus.losses.corpus, cell(*least, 4), weights(least), cell(*most, 4), weights(most)});
  }
  return table(cells);
}

Json list_of(const std::vector<double>& losses) {
  Json list = Json::array();
  for (const double loss : losses) list.push_back(finite_or_null(loss));
  return list;
}

}  // namespace

std::string hull_text(const HullAnswer& answer) {
  return table(loss_cells(answer)) + "\n" + table(measure_cells(answer)) + "\n" +
         (answer.points.triangle.empty() ? "" : triangle_text(answer) + "\n") + kIntervalWords +
         "\n";
}

Json hull_json(const HullAnswer& answer) {
  Json corpora = Json::array();
  for (const HullOfCorpus& each : answer.corpora) {
    Json corpus = {{"corpus", each.losses.corpus},
                   {"tokens", each.tokens},
                   {"windows", each.windows},
                   {"members_nats", list_of(each.losses.members)},
                   {"centroid_nats", finite_or_null(each.losses.centroid)},
                   {"samples_nats", list_of(each.losses.samples)}};
    const auto add = [&](const std::string& name, const std::string& unit, const Measured& found) {
      corpus[name + unit] = finite_or_null(found.value);
      corpus[name + "_interval" + unit] = interval_json(found.interval);
    };
    add("sample_below_member", "", each.sample_below);
    add("centroid_below_member", "", each.centroid_below);
    add("centroid_less_members", "_nats", each.centroid_less_members);
    if (!each.triangle.empty()) corpus["triangle_nats"] = list_of(each.triangle);
    corpora.push_back(std::move(corpus));
  }
  Json document = {{"schema", "ration.region.hull/1"},
                   {"runs", answer.runs},
                   {"seed", answer.points.seed},
                   {"level", region::Resampling().level},
                   {"weights", answer.points.samples},
                   {"corpora", std::move(corpora)}};
  if (!answer.points.triangle.empty()) document["triangle_weights"] = answer.points.triangle;
  return document;
}

report::Page hull_page(const HullAnswer& answer) {
  report::Section section;
  section.title = "Losses within the hull";
  section.paragraphs = {
      fmt::format("The hull of {} on {}, the same at every point. Points of one hull share its "
                  "members: they are no independent evidence for other models.",
                  counted(answer.points.members, "run"),
                  answer.text),
      kIntervalWords};
  section.tables = {page_table(loss_cells(answer)), page_table(measure_cells(answer))};
  std::vector<std::string> models;
  for (const std::string& run : answer.runs) models.push_back(short_id(run));
  for (const HullOfCorpus& each : answer.corpora) {
    const std::string& corpus = each.losses.corpus;
    section.figures.push_back(hull_figure(each.losses));
    if (!each.triangle.empty())
      section.figures.push_back(report::triangle_figure(
          {.name = "triangle-" + report::figure_name(corpus),
           .caption = fmt::format("Losses on {} over the triangle of the three runs.", corpus),
           .quantity = "loss (nats a token)",
           .corners = models,
           .weights = answer.points.triangle,
           .losses = each.triangle}));
  }
  return {.title = "A hull in weight space", .sections = {std::move(section)}};
}

}  // namespace ration::cli
