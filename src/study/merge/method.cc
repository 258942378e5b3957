#include "study/merge/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/table_reader.h"
#include "merge/recipe.h"

namespace ration::study {
namespace {

constexpr std::size_t kMostTrials = 1000;  // of a method; beyond that a grid is a mistake

// What the papers use where nothing can be validated; other members are the recipe's defaults.
Json published(const std::string& method) {
  if (method == "task_arithmetic") return {{"lambda", 0.4}};
  if (method == "ties") return {{"k", 0.2}, {"lambda", 1.0}};
  if (method == "dare_ties" || method == "dare_linear")
    return {{"density", 0.5}, {"lambda", method == "dare_ties" ? 1.0 : 0.4}};
  return Json::object();
}

// All combinations of the lists; the last key varies fastest.
std::vector<Json> combinations(const Json& grid) {
  std::vector<Json> all = {Json::object()};
  for (const auto& [key, values] : grid.items()) {
    std::vector<Json> longer;
    for (const Json& each : all)
      for (const Json& value : values) {
        longer.push_back(each);
        longer.back()[key] = value;
      }
    all = std::move(longer);
  }
  return all;
}

class MethodReader {
 public:
  MethodReader(const std::string& file, std::vector<Error>& problems)
      : file_(file), problems_(problems) {}

  std::vector<MergeMethod> read(const Json& list) {
    if (!list.is_array() || list.empty()) {
      refuse("[merge] method is no list of tables", "write a [[merge.method]] for each");
      return {};
    }
    std::vector<MergeMethod> methods;
    for (const Json& table : list) {
      if (!table.is_object()) {
        refuse("[merge] method is no list of tables", "write a [[merge.method]] for each");
        return {};
      }
      if (std::optional<MergeMethod> method = read_one(table))
        methods.push_back(std::move(*method));
    }
    check_labels(methods);
    check_trials(methods);
    return methods;
  }

 private:
  void refuse(const std::string& what, std::string hint) {
    problems_.push_back({.kind = ErrorKind::usage,
                         .what = fmt::format("{}: {}", file_, what),
                         .hint = std::move(hint)});
  }

  std::optional<MergeMethod> read_one(const Json& table) {
    MergeMethod method;
    TableReader read(table, file_, "[[merge.method]]", problems_);
    read.text("name", method.method);
    method.label = method.method;
    read.text("label", method.label);
    std::vector<std::string> known = merge::methods();
    known.push_back("greedy_soup");
    if (std::find(known.begin(), known.end(), method.method) == known.end()) {
      read.refuse("name",
                  fmt::format("= \"{}\" is no method", method.method),
                  nearest_or_all(method.method, known));
      return {};
    }
    merge::Recipe recipe;
    recipe.method = method.method;
    if (merge::needs_statistics(recipe) && !method.is_fisher()) {
      refuse(fmt::format("[[merge.method]] {} needs statistics of each model", method.method),
             "merge with `ration merge --statistics`; of such methods a study knows fisher");
      return {};
    }
    return with_grid(std::move(method), table);
  }

  std::optional<MergeMethod> with_grid(MergeMethod method, const Json& table) {
    std::vector<std::string> members =
        method.is_soup() ? std::vector<std::string>{} : merge::members_of(method.method);
    std::erase(members, "weights");  // one a model, and the models are another number each time
    Json grid = Json::object();
    bool good = true;
    for (const auto& [key, value] : table.items()) {
      if (key == "name" || key == "label") continue;
      if (std::find(members.begin(), members.end(), key) == members.end()) {
        refuse(fmt::format("[[merge.method]] {} has no \"{}\"", method.label, key),
               members.empty() ? "it has nothing to choose" : nearest_or_all(key, members));
        good = false;
      } else {
        grid[key] = value.is_array() ? value : Json::array({value});
        good = good && within_limits(method, key, grid);
      }
    }
    if (!good) return {};
    method.trials = combinations(grid);
    method.untuned = published(method.method);
    for (const auto& [key, values] : grid.items())  // what is no choice belongs to the method
      if (values.size() == 1) method.untuned[key] = values[0];
    if (!all_valid(method)) return {};
    return method;
  }

  bool within_limits(const MergeMethod& method, const std::string& key, const Json& grid) {
    std::size_t trials = 1;
    for (const auto& [name, values] : grid.items())
      trials *= std::min(values.size(), kMostTrials + 1);
    if (grid.at(key).empty())
      refuse(fmt::format("[[merge.method]] {}: {} is an empty list", method.label, key),
             "leave it out for the default, or give values");
    else if (trials > kMostTrials)
      refuse(fmt::format("[[merge.method]] {} has more than {} trials", method.label, kMostTrials),
             "give fewer values; all combinations are tried");
    return !grid.at(key).empty() && trials <= kMostTrials;
  }

  bool all_valid(const MergeMethod& method) {
    if (method.is_soup()) return true;
    std::vector<Json> all = method.trials;
    all.push_back(method.untuned);
    for (const Json& members : all) {
      const Json recipe = merge_recipe(method.method, members, "base", {"a", "b"});
      Result<merge::Recipe> parsed =
          merge::parse_recipe(recipe, fmt::format("{}: [[merge.method]] {}", file_, method.label));
      if (parsed) continue;
      problems_.push_back(std::move(parsed).error());
      return false;
    }
    return true;
  }

  void check_labels(const std::vector<MergeMethod>& methods) {
    std::set<std::string> seen = {"base", "own", "multitask"};
    for (const MergeMethod& method : methods)
      if (!seen.insert(method.label).second)
        refuse(fmt::format("[[merge.method]] two are called \"{}\", or it is a word of the tables",
                           method.label),
               "give each a `label` of its own");
  }

  void check_trials(const std::vector<MergeMethod>& methods) {
    std::vector<std::string> counts;
    std::set<std::size_t> distinct;
    for (const MergeMethod& method : methods) {
      if (method.trials.size() == 1) continue;
      counts.push_back(fmt::format("{} {}", method.label, method.trials.size()));
      distinct.insert(method.trials.size());
    }
    if (distinct.size() > 1)
      refuse(fmt::format("[[merge.method]] trials: {}", fmt::join(counts, ", ")),
             "give each method that has something to choose the same number of trials");
  }

  const std::string& file_;
  std::vector<Error>& problems_;
};

}  // namespace

std::vector<MergeMethod> default_merge_methods() {
  const Json lambda = {0.3, 0.6, 1.0, 1.5};
  const std::vector<double> sums = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6,  0.7, 0.8,  0.9,
                                    1.0,  1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.25, 2.5};
  const Json list = {
      {{"name", "average"}},
      {{"name", "task_arithmetic"}, {"lambda", sums}},
      {{"name", "ties"}, {"k", {0.05, 0.1, 0.2, 0.5, 1.0}}, {"lambda", lambda}},
      {{"name", "dare_ties"}, {"density", {0.05, 0.1, 0.2, 0.5, 1.0}}, {"lambda", lambda}}};
  std::vector<Error> none;
  return read_merge_methods(list, "the defaults", none);
}

std::vector<MergeMethod> read_merge_methods(const Json& list,
                                            const std::string& file,
                                            std::vector<Error>& problems) {
  return MethodReader(file, problems).read(list);
}

std::string text_of_members(const Json& members) {
  std::vector<std::string> words;
  for (const auto& [key, value] : members.items())
    words.push_back(fmt::format("{} {}", key, canonical_json(value).value_or("?")));
  return words.empty() ? "–" : fmt::format("{}", fmt::join(words, ", "));
}

Json merge_recipe(const std::string& method,
                  const Json& members,
                  const std::string& base,
                  const std::vector<std::string>& models) {
  Json recipe = members.is_object() ? members : Json::object();
  recipe["method"] = method;
  recipe["models"] = models;
  merge::Recipe needs;
  needs.method = method;
  needs.on = members.value("on", needs.on);
  if (merge::needs_base(needs)) recipe["base"] = base;
  return recipe;
}

}  // namespace ration::study
