#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/region_figures.h"
#include "cli/region_options.h"
#include "cli/region_points.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "region/hull.h"
#include "report/model_figures.h"

namespace ration::cli {
namespace {

using Weights = std::vector<std::vector<double>>;

struct HullOptions {
  std::size_t samples = 64;
  std::uint64_t seed = 0;
  bool triangle = false;
};

Result<HullOptions> hull_options(const Arguments& arguments) {
  OptionReader read{arguments};
  HullOptions options;
  options.samples = static_cast<std::size_t>(read.whole("samples", 0, 100'000).value_or(64));
  options.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  options.triangle = arguments.flag("triangle");
  if (options.triangle && arguments.positional.size() != 3)
    read.refuse(fmt::format("--triangle is for three models, not {}", arguments.positional.size()),
                "name three, or leave it out");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

// Members, the centroid, samples and the triangle, in this order.
struct Hull {
  std::size_t members = 0;
  Weights samples, triangle;

  std::vector<RegionPoint> points() const {
    std::vector<RegionPoint> all;
    for (std::size_t i = 0; i < members; ++i) {
      std::vector<double> unit(members);
      unit[i] = 1;
      all.push_back({.name = fmt::format("member {}", i + 1), .weights = std::move(unit)});
    }
    all.push_back({.name = "centroid"});
    for (std::size_t i = 0; i < samples.size(); ++i)
      all.push_back({.name = fmt::format("sample {}", i), .weights = samples[i]});
    for (std::size_t i = 0; i < triangle.size(); ++i)
      all.push_back({.name = fmt::format("triangle {}", i), .weights = triangle[i]});
    return all;
  }
};

Hull hull_of(std::size_t members, const HullOptions& options) {
  Hull hull{.members = members, .samples = {}, .triangle = {}};
  for (std::uint64_t i = 0; i < options.samples; ++i)
    hull.samples.push_back(region::hull_weights(members, options.seed, i));
  if (options.triangle) hull.triangle = region::triangle_weights(10);
  return hull;
}

struct CorpusLosses {
  std::int64_t tokens = 0;
  HullLosses hull;
  std::vector<double> triangle;
};

std::vector<CorpusLosses> by_corpus(const Hull& hull, const PointLosses& losses) {
  std::vector<CorpusLosses> all;
  for (std::size_t c = 0; c < losses.corpora.size(); ++c) {
    const auto begin = losses.losses[c].begin();
    const auto centroid = begin + static_cast<std::ptrdiff_t>(hull.members);
    const auto samples_end = centroid + 1 + static_cast<std::ptrdiff_t>(hull.samples.size());
    all.push_back({.tokens = losses.tokens[c],
                   .hull = {.corpus = losses.corpora[c],
                            .members = {begin, centroid},
                            .samples = {centroid + 1, samples_end},
                            .centroid = *centroid},
                   .triangle = {samples_end, losses.losses[c].end()}});
  }
  return all;
}

double or_infinite(double loss) {
  return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
}

// P(x < y) + P(x = y)/2 over all pairs; losses that are none count as infinite.
double share_below(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.empty() || y.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double a : x)
    for (const double b : y)
      sum += or_infinite(a) < or_infinite(b) ? 1 : or_infinite(a) == or_infinite(b) ? 0.5 : 0;
  return sum / static_cast<double>(x.size() * y.size());
}

std::string range(std::vector<double> losses) {
  if (losses.empty()) return "-";
  for (double& loss : losses) loss = or_infinite(loss);
  const auto [least, most] = std::minmax_element(losses.begin(), losses.end());
  return fmt::format("{:.4f} to {:.4f}", *least, *most);
}

std::vector<std::vector<std::string>> hull_cells(const std::vector<CorpusLosses>& all) {
  std::vector<std::vector<std::string>> cells = {
      {"corpus", "members", "samples", "centroid", "sample below member", "centroid below member"}};
  for (const auto& [tokens, losses, triangle] : all)
    cells.push_back({losses.corpus,
                     range(losses.members),
                     range(losses.samples),
                     cell(losses.centroid, 4),
                     cell(share_below(losses.samples, losses.members)),
                     cell(share_below({losses.centroid}, losses.members))});
  return cells;
}

std::string triangle_text(const Hull& hull, const std::vector<CorpusLosses>& all) {
  std::vector<std::vector<std::string>> cells = {
      {"triangle", "lowest", "at weights", "highest", "at weights"}};
  for (const auto& [tokens, losses, triangle] : all) {
    std::vector<double> known = triangle;
    for (double& loss : known) loss = or_infinite(loss);
    const auto [least, most] = std::minmax_element(known.begin(), known.end());
    const auto weights = [&](auto at) {
      const std::vector<double>& w = hull.triangle[static_cast<std::size_t>(at - known.begin())];
      return fmt::format("{:.1f} {:.1f} {:.1f}", w[0], w[1], w[2]);
    };
    cells.push_back(
        {losses.corpus, cell(*least, 4), weights(least), cell(*most, 4), weights(most)});
  }
  return table(cells);
}

Json list_of(const std::vector<double>& losses) {
  Json list = Json::array();
  for (const double loss : losses) list.push_back(finite_or_null(loss));
  return list;
}

Json hull_json(const Hull& hull, const HullOptions& options, const PointLosses& losses) {
  Json corpora = Json::array();
  for (const auto& [tokens, each, triangle] : by_corpus(hull, losses)) {
    corpora.push_back(
        {{"corpus", each.corpus},
         {"tokens", tokens},
         {"members_nats", list_of(each.members)},
         {"centroid_nats", finite_or_null(each.centroid)},
         {"samples_nats", list_of(each.samples)},
         {"sample_below_member", finite_or_null(share_below(each.samples, each.members))},
         {"centroid_below_member", share_below({each.centroid}, each.members)}});
    if (!triangle.empty()) corpora.back()["triangle_nats"] = list_of(triangle);
  }
  Json document = {{"schema", "ration.region.hull/1"},
                   {"runs", losses.runs},
                   {"seed", options.seed},
                   {"weights", hull.samples},
                   {"corpora", std::move(corpora)}};
  if (!hull.triangle.empty()) document["triangle_weights"] = hull.triangle;
  return document;
}

report::Page hull_page(const Hull& hull, const PointLosses& losses) {
  const std::vector<CorpusLosses> all = by_corpus(hull, losses);
  report::Section section;
  section.title = "Losses within the hull";
  section.paragraphs = {
      fmt::format("The hull of {} on {}, the same at every point. Points of one "
                  "hull share its members: they are no independent evidence for other models.",
                  counted(hull.members, "run"),
                  tokens_text(losses))};
  section.tables = {page_table(hull_cells(all))};
  std::vector<std::string> models;
  for (const std::string& run : losses.runs) models.push_back(short_id(run));
  for (const auto& [tokens, each, triangle] : all) {
    section.figures.push_back(hull_figure(each));
    if (!triangle.empty())
      section.figures.push_back(report::triangle_figure(
          {.name = "triangle-" + report::figure_name(each.corpus),
           .caption = fmt::format("Losses on {} over the triangle of the three runs.", each.corpus),
           .quantity = "loss (nats a token)",
           .corners = models,
           .weights = hull.triangle,
           .losses = triangle}));
  }
  return {.title = "A hull in weight space", .sections = {std::move(section)}};
}

Result<int> run_hull(const Arguments& arguments) {
  Result<HullOptions> options = hull_options(arguments);
  if (!options) return std::move(options).error();
  const Hull hull = hull_of(arguments.positional.size(), *options);
  Result<PointLosses> losses = losses_of_points(arguments, "hull", hull.points());
  if (!losses) return std::move(losses).error();
  if (Result<void> done = write_asked_page(arguments, [&] { return hull_page(hull, *losses); });
      !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(hull_json(hull, *options, *losses));
  else
    arguments.console.print(
        table(hull_cells(by_corpus(hull, *losses))) +
        (options->triangle ? "\n" + triangle_text(hull, by_corpus(hull, *losses)) : ""));
  return 0;
}

}  // namespace

Command region_hull_command() {
  std::vector<Option> options = {
      {.name = "samples",
       .value = "N",
       .default_value = "64",
       .help = "Points drawn uniformly from the hull, 0 to 100000.",
       .letter = 'n'},
      {.name = "seed", .value = "N", .default_value = "0", .help = "Of the points that are drawn."},
      {.name = "triangle",
       .help = "Of three runs, also the 66 points of a grid over their triangle."}};
  for (Option& option : point_options()) options.push_back(std::move(option));
  return {.name = "region hull",
          .summary = "Evaluate the convex hull of trained runs: members, points within, centroid",
          .arguments = "RUN …",
          .min_arguments = 2,
          .max_arguments = 1000,
          .options = std::move(options),
          .description =
              "The held-out losses of the runs, of points sum w_i theta_i with weights drawn "
              "uniformly from the\nsimplex, and of the mean. \"Below\" is the share of pairs in "
              "which the first has the lower loss, ties\nhalf. Runs are named by the beginning of "
              "their id, or by their folder.\n\n"
              "  ration region hull 1f3a 77c0 9b12 --data data/prose --triangle --page hull.html",
          .execute = run_hull};
}

}  // namespace ration::cli
