#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/region_options.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "region/cluster.h"

namespace ration::cli {
namespace {

using region::Clusters;
using region::Gram;
using region::LabelTest;

constexpr double kWeakWays = 100;  // labels that fall in fewer ways are told

struct ClusterOptions {
  std::size_t k = 0;  // 0 = as many as labels, or what the eigenvalues ask for
  region::TestOptions test;
};

Result<ClusterOptions> cluster_options(const Arguments& arguments) {
  OptionReader read{arguments};
  ClusterOptions options;
  options.k = static_cast<std::size_t>(read.whole("k", 1, 10'000).value_or(0));
  options.test.permutations =
      read.whole("permutations", 0, 10'000'000).value_or(options.test.permutations);
  options.test.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

// The models that have a direction.
std::vector<std::size_t> moved_models(const Gram& gram, const Console& console) {
  std::vector<std::size_t> moved;
  for (std::size_t i = 0; i < gram.models(); ++i)
    if (gram.norm(i) > 0)
      moved.push_back(i);
    else
      console.note(fmt::format("warning: {} equals the base in \"{}\": it is left out",
                               without_control_bytes(gram.names[i]),
                               gram.group));
  return moved;
}

template <class Item>
std::vector<Item> those(const std::vector<Item>& all, const std::vector<std::size_t>& places) {
  std::vector<Item> chosen;
  for (const std::size_t place : places) chosen.push_back(all[place]);
  return chosen;
}

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

// Empty where p can be small.
std::string ways_text(const Labels& labels) {
  const double ways = std::exp(log_ways(labels));
  if (ways > kWeakWays) return {};
  return fmt::format("labels fall on {} in {}: p stays near 1/{:.0f} or above\n",
                     labels.units.empty() ? "these models" : "these units",
                     counted(static_cast<std::size_t>(std::lround(ways)), "way"),
                     ways);
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

struct Answer {
  std::vector<std::string> models;
  Clusters clusters;
  std::optional<Labels> labels;
  std::optional<LabelTest> test;
};

Json answer_json(const Answer& answer, const std::string& base, const std::string& group) {
  Json members = Json::array();
  for (std::size_t i = 0; i < answer.models.size(); ++i) {
    members.push_back({{"model", answer.models[i]}, {"cluster", answer.clusters.of[i]}});
    if (answer.labels) members.back()["label"] = answer.labels->labels[i];
  }
  Json document = {{"schema", "ration.region.cluster/1"},
                   {"base", base},
                   {"group", group},
                   {"clusters", answer.clusters.k},
                   {"largest_gap", answer.clusters.largest_gap},
                   {"eigenvalues", answer.clusters.eigenvalues},
                   {"models", std::move(members)}};
  if (answer.test)
    document["test"] = test_json(*answer.test, answer.labels->by, answer.labels->units);
  return document;
}

std::string answer_text(const Answer& answer) {
  std::vector<std::vector<std::string>> cells = {{"model", "cluster"}};
  if (answer.labels) cells[0].push_back(answer.labels->by);
  for (std::size_t i = 0; i < answer.models.size(); ++i) {
    cells.push_back({answer.models[i], fmt::format("{}", answer.clusters.of[i] + 1)});
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

Result<int> run_cluster(const Arguments& arguments) {
  Result<ClusterOptions> options = cluster_options(arguments);
  if (!options) return std::move(options).error();
  Result<std::optional<Labels>> labels = read_labels(arguments);
  if (!labels) return std::move(labels).error();
  std::vector<std::string> models = arguments.positional;
  if (models.empty() && *labels) models = (*labels)->models;
  if (models.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "no model is named",
                 .hint = "name models, or a --labels FILE, whose models are all taken then"};
  Answer answer;
  if (*labels) {
    Result<Labels> chosen = labels_of(**labels, models);
    if (!chosen) return std::move(chosen).error();
    answer.labels = std::move(*chosen);
  }
  Result<std::vector<Gram>> grams = grams_of(arguments, models, true);
  if (!grams) return std::move(grams).error();
  Result<Gram> gram = chosen_group(arguments, std::move(*grams));
  if (!gram) return std::move(gram).error();

  const std::vector<std::size_t> moved = moved_models(*gram, arguments.console);
  answer.models = those(models, moved);
  if (answer.models.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("all models equal the base in \"{}\"", gram->group),
                 .hint = "name models that were trained, or another --group"};
  std::vector<double> cosines;
  for (const std::size_t i : moved)
    for (const std::size_t j : moved) cosines.push_back(gram->cosine(i, j));
  std::size_t k = options->k;
  if (answer.labels) {
    answer.labels->labels = those(answer.labels->labels, moved);
    if (!answer.labels->units.empty()) answer.labels->units = those(answer.labels->units, moved);
    if (k == 0) k = std::set(answer.labels->labels.begin(), answer.labels->labels.end()).size();
  }
  Result<Clusters> clusters = region::spectral(cosines, k, options->test.seed);
  if (!clusters) return std::move(clusters).error();
  answer.clusters = std::move(*clusters);
  if (answer.labels) {
    options->test.units = answer.labels->units;
    answer.test =
        region::test_labels(cosines, answer.clusters, answer.labels->labels, options->test);
  }
  if (arguments.console.json)
    arguments.console.print_json(answer_json(answer, *arguments.text("base"), gram->group));
  else
    arguments.console.print(answer_text(answer));
  return 0;
}

}  // namespace

Command region_cluster_command() {
  std::vector<Option> options = label_options(true);
  const auto add = [&](std::vector<Option> more) {
    options.insert(options.end(), more.begin(), more.end());
  };
  add({{.name = "k",
        .value = "K",
        .help = "Clusters; as many as labels unless given, and without labels as many as the "
                "largest gap of eigenvalues asks for."},
       {.name = "permutations",
        .value = "N",
        .default_value = "10000",
        .help = "Permutations of the labels, 0 to 10000000: p cannot be below 1/(N + 1)."},
       {.name = "seed",
        .value = "N",
        .default_value = "0",
        .help = "Of the starts of k-means and of the permutations."}});
  add(region_options(true));
  return {.name = "region cluster",
          .summary = "Cluster fine-tuned models by direction, and test labels against chance",
          .arguments = "[MODEL …]",
          .min_arguments = 0,
          .max_arguments = 10'000,
          .options = std::move(options),
          .description =
              "Spectral clustering of the cosines of tau = model - base. With labels: how well "
              "clusters match them,\nand whether models of one label are more alike than those of "
              "two, each with the p value of a\npermutation test. Without models, those of the "
              "file of labels are taken.\n\n"
              "  ration region cluster --base base --labels labels.csv --by family --units corpus",
          .execute = run_cluster};
}

}  // namespace ration::cli
