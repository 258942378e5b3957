#include <fmt/format.h>

#include <set>

#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/region_cluster_text.h"

namespace ration::cli {
namespace {

using region::Clusters;
using region::Gram;

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

template <class Item>
std::vector<Item> those(const std::vector<Item>& all, const std::vector<std::size_t>& places) {
  std::vector<Item> chosen;
  for (const std::size_t place : places) chosen.push_back(all[place]);
  return chosen;
}

Result<ClusterAnswer> answer_of(const Arguments& arguments,
                                Gram gram,
                                std::optional<Labels> labels,
                                ClusterOptions options) {
  const std::vector<std::size_t> moved = moved_models(gram, 0, arguments.console);
  if (moved.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("all models equal the base in \"{}\"", gram.group),
                 .hint = "name models that were trained, or another --group"};
  ClusterAnswer answer{.base = *arguments.text("base"),
                       .gram = region::some_of(gram, moved),
                       .clusters = {},
                       .labels = std::move(labels),
                       .test = {}};
  if (answer.labels) {
    answer.labels->labels = those(answer.labels->labels, moved);
    if (!answer.labels->units.empty()) answer.labels->units = those(answer.labels->units, moved);
    if (options.k == 0)
      options.k = std::set(answer.labels->labels.begin(), answer.labels->labels.end()).size();
  }
  const std::vector<double> cosines = answer.gram.cosines();
  Result<Clusters> clusters = region::spectral(cosines, options.k, options.test.seed);
  if (!clusters) return std::move(clusters).error();
  answer.clusters = std::move(*clusters);
  if (answer.labels) {
    options.test.units = answer.labels->units;
    answer.test =
        region::test_labels(cosines, answer.clusters, answer.labels->labels, options.test);
  }
  return answer;
}

Result<int> run_cluster(const Arguments& arguments) {
  Result<ClusterOptions> options = cluster_options(arguments);
  if (!options) return std::move(options).error();
  if (Result<void> there = check_page_folder(arguments); !there) return std::move(there).error();
  Result<std::optional<Labels>> labels = read_labels(arguments);
  if (!labels) return std::move(labels).error();
  std::vector<std::string> models = arguments.positional;
  if (models.empty() && *labels) models = (*labels)->models;
  if (models.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "no model is named",
                 .hint = "name models, or a --labels FILE, whose models are all taken then"};
  std::optional<Labels> chosen;
  if (*labels) {
    Result<Labels> found = labels_of(**labels, models);
    if (!found) return std::move(found).error();
    chosen = std::move(*found);
  }
  Result<std::vector<Gram>> grams = grams_of(arguments, models, true);
  if (!grams) return std::move(grams).error();
  Result<Gram> gram = chosen_group(arguments, std::move(*grams));
  if (!gram) return std::move(gram).error();
  Result<ClusterAnswer> answer =
      answer_of(arguments, std::move(*gram), std::move(chosen), std::move(*options));
  if (!answer) return std::move(answer).error();
  if (Result<void> done = write_asked_page(arguments, [&] { return cluster_page(*answer); }); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(cluster_json(*answer));
  else
    arguments.console.print(cluster_text(*answer));
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
        .help = "Of the starts of k-means and of the permutations."},
       page_option()});
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
