#include "study/remedies/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/table_reader.h"
#include "merge/recipe.h"

namespace ration::study {
namespace {

// The recipe of a merge of `branches` models, checked with names that stand for them.
void check_recipe(const TableReader& read, const RemedyChain& chain) {
  Json recipe = chain.recipe;
  for (const char* key : {"base", "models"})
    if (recipe.contains(key))
      return read.refuse("recipe",
                         fmt::format("names {}", key),
                         "the models are the branches, the base is what they began with");
  Json names = Json::array();
  for (std::size_t i = 0; i < chain.branches.size(); ++i) names.push_back(fmt::format("{}", i));
  recipe["models"] = names;
  merge::Recipe plain;
  plain.method = recipe.value("method", "average");
  if (merge::needs_base(plain)) recipe["base"] = "start";
  Result<merge::Recipe> parsed = merge::parse_recipe(recipe, "recipe");
  if (!parsed) return read.refuse("recipe", parsed.error().what, parsed.error().hint);
  if (merge::needs_statistics(*parsed))
    read.refuse("recipe",
                fmt::format("= {} needs statistics of each branch", parsed->method),
                "choose another method, such as average or ties");
}

// Settings of a run as `key` has them: tables without tables in them.
std::vector<Json> read_settings(TableReader& read, const std::string& key) {
  std::vector<Json> found;
  const Json* value = read.find(key);
  if (value == nullptr) return found;
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& each : list) {
    if (each.is_object() && each.contains("seed")) {
      read.refuse(key, "sets seed", "seeds follow from round, branch and replica; leave it out");
      return {};
    }
    const bool plain = each.is_object() && std::none_of(each.begin(), each.end(), [](auto& v) {
                         return v.is_structured();
                       });
    if (!plain) {
      read.refuse(key,
                  "is no list of settings",
                  "write tables of plain values, such as [{lr = 1e-3}, {lr = 3e-3}]");
      return {};
    }
    found.push_back(each);
  }
  return found;
}

std::optional<RemedyChain> read_chain(TableReader& read) {
  constexpr std::int64_t kMostRounds = 1000;
  RemedyChain chain{.start = {}, .rounds = 1, .branches = {}, .recipe = {}, .finish = {}};
  read.text("start", chain.start);
  read.whole("rounds", 1, kMostRounds, chain.rounds);
  chain.branches = read_settings(read, "branches");
  const Json* recipe = read.table("recipe");
  chain.recipe = recipe != nullptr ? *recipe : Json{{"method", "average"}};
  const std::vector<Json> finish = read_settings(read, "finish");
  if (finish.size() == 1) chain.finish = finish.front();
  if (const Json* given = read.find("finish"); given != nullptr && given->is_array())
    read.refuse("finish", "is a list", "it is one run: finish = {…}");
  read.flag("donors", chain.donors);
  if (chain.start.empty()) {
    for (const char* key : {"rounds", "branches", "recipe", "finish", "donors"})
      if (read.find(key) != nullptr)
        read.refuse(key, "needs a start", "start = \"NAME\" of the [[block]] that it goes on from");
    return std::nullopt;
  }
  if (chain.branches.empty() && !chain.finish)
    read.refuse("start",
                "is followed by nothing",
                "add branches = [{…}, {…}], which are merged, or finish = {…}");
  if (chain.branches.size() == 1)
    read.refuse("branches", "is one alone", "two at least are merged; or use finish = {…}");
  if (chain.donors && !chain.finish)
    read.refuse("donors",
                "needs finish",
                "without it the merged weights are all that the compute was spent for");
  if (chain.branches.size() > 1) check_recipe(read, chain);
  return chain;
}

RemedyArm read_arm(const Json& table, const std::string& file, std::vector<Error>& problems) {
  TableReader read(table, file, "[[remedies.arm]]", problems);
  RemedyArm arm;
  read.text("name", arm.name);
  if (arm.name.empty()) read.refuse_table("has no name", "name = \"code\", for example");
  read.choice("kind", remedy_kinds(), arm.kind);
  if (arm.kind.empty() && read.find("kind") == nullptr)
    read.refuse_table(fmt::format("\"{}\" has no kind", arm.name),
                      fmt::format("kind = one of {}", fmt::join(remedy_kinds(), ", ")));
  read.texts("blocks", arm.blocks);
  read.texts("parts", arm.parts);
  arm.chain = read_chain(read);
  if (arm.chain && !arm.blocks.empty())
    read.refuse("blocks", "and start exclude each other", "an arm is blocks, or goes on from one");
  if (!arm.chain && arm.blocks.empty()) arm.blocks = {arm.name};
  if ((arm.kind == "combined") != (arm.parts.size() >= 2))
    read.refuse("parts",
                "belongs to kind = \"combined\"",
                "parts = [\"code\", \"smear\"] names the arms that this one joins, two at least");
  read.refuse_unknown();
  return arm;
}

void check_names(const TableReader& read, const RemedyTable& table) {
  std::set<std::string> names;
  for (const RemedyArm& arm : table.arms)
    for (const std::string& name : names_of(arm))
      if (!names.insert(name).second)
        read.refuse("arm", fmt::format("\"{}\" is there twice", name), "give each its own name");
  for (const RemedyArm& arm : table.arms)
    for (const std::string& part : arm.parts)
      if (!names.contains(part) || part == arm.name)
        read.refuse("arm",
                    fmt::format("\"{}\" joins \"{}\", which is none", arm.name, part),
                    nearest_or_all(part, {names.begin(), names.end()}));
}

}  // namespace

std::vector<std::string> names_of(const RemedyArm& arm) {
  return arm.blocks.size() > 1 ? arm.blocks : std::vector<std::string>{arm.name};
}

const std::vector<std::string>& remedy_kinds() {
  static const std::vector<std::string> kinds = {
      "mixing", "filter", "policy", "model", "merge", "fusion", "start", "combined"};
  return kinds;
}

Result<RemedyTable> read_remedy_table(const Json& table, const std::string& file) {
  std::vector<Error> problems;
  TableReader read(table, file, "[remedies]", problems);
  RemedyTable remedies;
  read.text("baseline", remedies.baseline);
  if (remedies.baseline.empty())
    read.refuse_table("names no baseline", "baseline = \"NAME\" of the [[block]] that repeats");
  read.texts("law", remedies.law);
  std::erase(remedies.law, remedies.baseline);
  read.text("task", remedies.task);
  const Json* arms = read.find("arm");
  if (arms == nullptr || !arms->is_array() || arms->empty())
    read.refuse_table("has no arm", "write at least one [[remedies.arm]] with name and kind");
  else
    for (const Json& arm : *arms)
      if (arm.is_object())
        remedies.arms.push_back(read_arm(arm, file, problems));
      else
        read.refuse("arm", "holds something that is no table", "write [[remedies.arm]]");
  read.refuse_unknown();
  check_names(read, remedies);
  if (problems.empty()) return remedies;
  return combine(std::move(problems), fmt::format("{}: [remedies] cannot be used", file));
}

}  // namespace ration::study
