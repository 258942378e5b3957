#include "study/merge/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/table_reader.h"
#include "base/text.h"

namespace ration::study {
namespace {

bool names_weights(const std::string& text) {
  return text.starts_with("run:") || text.starts_with("file:");
}

constexpr std::int64_t kLargest = std::int64_t{1} << 53;

void read_sizes(TableReader& read, std::vector<std::int64_t>& sizes) {
  if (const Json* given = read.find("sizes"); given != nullptr && given->empty())
    read.refuse("sizes", "is empty", "whole numbers from 2, such as [2, 4, 8]");
  read.wholes("sizes", 2, kLargest, sizes);
  const std::set<std::int64_t> distinct(sizes.begin(), sizes.end());
  sizes.assign(distinct.begin(), distinct.end());
}

// Those that the file names; else what every paper compares with, where it is among the methods.
std::vector<std::string> read_against(TableReader& read, const std::vector<MergeMethod>& methods) {
  std::vector<std::string> labels;
  for (const MergeMethod& method : methods) labels.push_back(method.label);
  const bool given = read.find("against") != nullptr;
  std::vector<std::string> named;
  if (!given) named = {"average", "task_arithmetic"};
  read.texts("against", named);
  std::vector<std::string> wanted;
  for (const std::string& label : named)
    if (std::find(labels.begin(), labels.end(), label) != labels.end())
      wanted.push_back(label);
    else if (given && !labels.empty())  // else the methods are what is wrong
      read.refuse("against",
                  fmt::format("= \"{}\" is none of the methods", label),
                  nearest_or_all(label, labels));
  return wanted;
}

void refuse_mixture(const TableReader& read) {
  read.refuse_table(
      "mixes blocks and weights",
      "base and models are all names of [[block]]s, or all \"run:ID\" or \"file:PATH\"");
}

void check_blocks(TableReader& read, const MergeTable& merge) {
  if (names_weights(merge.base)) refuse_mixture(read);
  for (const char* key : {"corpora", "settings"})
    if (read.find(key) != nullptr)
      read.refuse(key,
                  "is for models that are weights",
                  "the runs of a [[block]] say what they were trained on");
}

void check_models(TableReader& read, const MergeTable& merge) {
  if (merge.base.empty())
    read.refuse_table("names no base", "base = \"NAME\" of a [[block]], or weights");
  if (merge.models.empty())
    return read.refuse_table("names no models", "models = [\"NAME\"] of [[block]]s, or weights");
  const auto weights = static_cast<std::size_t>(
      std::count_if(merge.models.begin(), merge.models.end(), names_weights));
  if (weights == 0) return check_blocks(read, merge);
  if (weights < merge.models.size() || !names_weights(merge.base)) refuse_mixture(read);
  if (!merge.multitask.empty())
    read.refuse("multitask", "is for runs of this file", "leave it out beside weights");
  if (merge.corpora.size() != merge.models.size())
    read.refuse_table(fmt::format("names {} of corpora for {}",
                                  counted(merge.corpora.size(), "folder"),
                                  counted(merge.models.size(), "model")),
                      "corpora has the folder of prepared data of each model, in their order");
}

void check_slerp(const TableReader& read, const MergeTable& merge) {
  for (const MergeMethod& method : merge.methods)
    if (method.method == "slerp" && merge.sizes != std::vector<std::int64_t>{2})
      read.refuse("method", "= slerp joins two models", "set sizes = [2], or leave it out");
}

}  // namespace

bool MergeTable::of_weights() const { return !models.empty() && names_weights(models.front()); }

Result<MergeTable> read_merge_table(const Json& table, const std::string& file) {
  std::vector<Error> problems;
  TableReader read(table, file, "[merge]", problems);
  MergeTable merge;
  read.text("base", merge.base, TableReader::Empty::taken);
  read.texts("models", merge.models);
  read.texts("multitask", merge.multitask);
  read.texts("corpora", merge.corpora);
  if (const Json* settings = read.table("settings")) merge.settings = *settings;
  read_sizes(read, merge.sizes);
  read.whole("subsets", 1, 100'000, merge.subsets);
  read.whole("windows", 0, 1'000'000'000, merge.windows);
  read.whole("draws", 100, 1'000'000, merge.draws);
  read.whole("seed", 0, kLargest, merge.seed);
  read.positive("min_gain", merge.min_gain);
  read.flag("mechanism", merge.mechanism);
  const Json* methods = read.find("method");
  merge.methods =
      methods != nullptr ? read_merge_methods(*methods, file, problems) : default_merge_methods();
  merge.against = read_against(read, merge.methods);
  read.refuse_unknown();
  check_models(read, merge);
  check_slerp(read, merge);
  if (problems.empty()) return merge;
  return combine(std::move(problems), fmt::format("{}: [merge] cannot be used", file));
}

}  // namespace ration::study
