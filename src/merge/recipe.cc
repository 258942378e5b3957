#include "merge/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/text.h"

namespace ration::merge {
namespace {

constexpr double kSmallestSum = 1e-8;  // of weights that something is divided by

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

std::string or_else(std::string text, std::string other) { return text.empty() ? other : text; }

using Words = std::vector<std::string>;

// A member of a recipe beside method, base and models: who reads it, how, and what it may be.
struct Member {
  std::string name;
  Words methods;
  // False when the JSON is of another type.
  std::function<bool(const Json&, Recipe&)> read;
  std::function<Json(const Recipe&)> write;
  std::function<bool(const Recipe&)> valid;
  std::string range;
};

Member number(std::string name,
              Words methods,
              double Recipe::*field,
              std::function<bool(double)> valid,
              std::string range) {
  return {std::move(name),
          std::move(methods),
          [field](const Json& json, Recipe& recipe) {
            if (json.is_number()) recipe.*field = json.get<double>();
            return json.is_number();
          },
          [field](const Recipe& recipe) { return Json(recipe.*field); },
          [field, valid](const Recipe& recipe) { return valid(recipe.*field); },
          std::move(range)};
}

Member word(std::string name, Words methods, std::string Recipe::*field, Words words) {
  const std::string range = fmt::format("one of {}", fmt::join(words, ", "));
  return {std::move(name),
          std::move(methods),
          [field](const Json& json, Recipe& recipe) {
            if (json.is_string()) recipe.*field = json.get<std::string>();
            return json.is_string();
          },
          [field](const Recipe& recipe) { return Json(recipe.*field); },
          [field, words](const Recipe& recipe) {
            return std::find(words.begin(), words.end(), recipe.*field) != words.end();
          },
          range};
}

Member flag(std::string name, Words methods, bool Recipe::*field) {
  return {std::move(name),
          std::move(methods),
          [field](const Json& json, Recipe& recipe) {
            if (json.is_boolean()) recipe.*field = json.get<bool>();
            return json.is_boolean();
          },
          [field](const Recipe& recipe) { return Json(recipe.*field); },
          [](const Recipe&) { return true; },
          "true or false"};
}

Member weights_member() {
  return {
      "weights",
      {"weighted", "linear", "task_arithmetic", "fisher", "ties", "dare_linear", "dare_ties"},
      [](const Json& json, Recipe& recipe) {
        if (!json.is_array()) return false;
        recipe.weights.clear();
        for (const Json& item : json) {
          if (!item.is_number()) return false;
          recipe.weights.push_back(item.get<double>());
        }
        return true;
      },
      [](const Recipe& recipe) { return recipe.weights.empty() ? Json() : Json(recipe.weights); },
      [](const Recipe& recipe) {
        return std::all_of(recipe.weights.begin(), recipe.weights.end(), [](double w) {
          return std::isfinite(w);
        });
      },
      "a list of finite numbers, one a model"};
}

Member normalize_member() {
  return {"normalize",
          {"task_arithmetic", "ties", "dare_linear", "dare_ties"},
          [](const Json& json, Recipe& recipe) {
            if (json.is_boolean()) recipe.normalize = json.get<bool>();
            return json.is_boolean();
          },
          [](const Recipe& recipe) { return recipe.normalize ? Json(*recipe.normalize) : Json(); },
          [](const Recipe&) { return true; },
          "true or false"};
}

Member seed_member() {
  return {"seed",
          {"dare_linear", "dare_ties"},
          [](const Json& json, Recipe& recipe) {
            if (json.is_number_unsigned()) recipe.seed = json.get<std::uint64_t>();
            return json.is_number_unsigned();
          },
          [](const Recipe& recipe) { return Json(recipe.seed); },
          [](const Recipe&) { return true; },
          "a whole number from 0"};
}

bool valid_k(const Recipe& recipe) {
  const double top = recipe.compat == "ties-ref" ? 100 : 1;
  return recipe.k >= 0 && recipe.k <= top;
}

const std::vector<Member>& members() {
  static const std::vector<Member> all = [] {
    const Words tau = {"task_arithmetic", "ties", "dare_linear", "dare_ties"};
    const Words elected = {"ties", "dare_ties"};
    const Words dare = {"dare_linear", "dare_ties"};
    const auto finite = [](double x) { return std::isfinite(x); };
    const auto share = [](double x) { return x >= 0 && x <= 1; };
    const auto positive_share = [](double x) { return x > 0 && x <= 1; };
    const auto not_negative = [](double x) { return x >= 0 && std::isfinite(x); };
    std::vector<Member> list;
    list.push_back(word("compat",
                        {"ties", "dare_linear", "dare_ties", "slerp"},
                        &Recipe::compat,
                        {"", "ties-ref", "mergekit"}));
    list.push_back(weights_member());
    list.push_back(normalize_member());
    list.push_back(number("lambda", tau, &Recipe::lambda, finite, "a finite number"));
    list.push_back(number("k", {"ties"}, &Recipe::k, share, "a share from 0 to 1"));
    list.back().valid = valid_k;
    list.push_back(word("scope", {"ties"}, &Recipe::scope, {"global", "tensor"}));
    list.push_back(word("zero_sign", elected, &Recipe::zero_sign, {"majority", "plus"}));
    list.push_back(word("consensus", elected, &Recipe::consensus, {"mass", "count"}));
    list.push_back(word("aggregate", elected, &Recipe::aggregate, {"mean", "sum", "max"}));
    list.push_back(flag("trim", {"ties"}, &Recipe::trim));
    list.push_back(flag("elect", elected, &Recipe::elect));
    list.push_back(flag("disjoint", elected, &Recipe::disjoint));
    list.push_back(number(
        "density", dare, &Recipe::density, positive_share, "a probability above 0, up to 1"));
    list.push_back(word("rescale", dare, &Recipe::rescale, {"inverse", "l1", "none"}));
    list.push_back(seed_member());
    list.push_back(number("t", {"slerp"}, &Recipe::t, share, "from 0 to 1"));
    list.push_back(word("on", {"slerp"}, &Recipe::on, {"weights", "tau"}));
    list.push_back(number("decay", {"ema"}, &Recipe::decay, positive_share, "above 0, up to 1"));
    list.push_back(number(
        "cut",
        {"trimmed_mean"},
        &Recipe::cut,
        [](double x) { return x >= 0 && x < 0.5; },
        "a share from 0 to below 0.5"));
    list.push_back(number("floor", {"fisher"}, &Recipe::floor, not_negative, "0 or above"));
    list.push_back(flag("norm", {"fisher"}, &Recipe::norm));
    list.push_back(number("alpha", {"regmean"}, &Recipe::alpha, share, "from 0 to 1"));
    return list;
  }();
  return all;
}

bool reads(const Member& member, const std::string& method) {
  return std::find(member.methods.begin(), member.methods.end(), method) != member.methods.end();
}

// What another program does wherever the user could choose; explicit members come after it.
void apply_compat(Recipe& recipe) {
  if (recipe.compat == "ties-ref") {
    recipe.scope = "global", recipe.zero_sign = "majority", recipe.consensus = "mass";
  } else if (recipe.compat == "mergekit") {
    recipe.scope = "tensor", recipe.zero_sign = "plus", recipe.consensus = "mass";
    recipe.rescale = "l1";
    if (recipe.method == "dare_ties") recipe.normalize = false;  // unlike ties
  }
}

std::optional<Error> read_names(const Json& json, Recipe& recipe) {
  if (const auto base = json.find("base"); base != json.end()) {
    if (!base->is_string()) return usage("base is no text", "give the name of a model");
    recipe.base = base->get<std::string>();
  }
  const auto models = json.find("models");
  if (models == json.end()) return {};
  const bool names =
      models->is_array() &&
      std::all_of(models->begin(), models->end(), [](const Json& m) { return m.is_string(); });
  if (!names) return usage("models is no list of names", "write models = [\"a\", \"b\"]");
  recipe.models = models->get<std::vector<std::string>>();
  return {};
}

void check_weights(const Recipe& recipe, std::vector<Error>& problems) {
  if (recipe.weights.empty()) return;
  if (recipe.weights.size() != recipe.models.size() && !recipe.models.empty())
    problems.push_back(usage(fmt::format("{} for {}",
                                         counted(recipe.weights.size(), "weight"),
                                         counted(recipe.models.size(), "model")),
                             "give one weight a model, in their order"));
  double sum = 0;
  for (const double weight : recipe.weights) sum += weight;
  const bool divides = recipe.method == "weighted" ||
                       ((recipe.method == "task_arithmetic" || recipe.method == "dare_linear") &&
                        recipe.normalize.value_or(false));
  if (divides && std::fabs(sum) < kSmallestSum)
    problems.push_back(usage(fmt::format("the weights sum to {:.3g}", sum),
                             "they are divided by their sum; choose others"));
  const bool negative = std::any_of(
      recipe.weights.begin(), recipe.weights.end(), [](double weight) { return weight < 0; });
  if (recipe.method == "fisher" && negative)
    problems.push_back(usage("a weight of fisher is negative", "give weights of 0 or above"));
}

}  // namespace

const std::vector<std::string>& methods() {
  static const std::vector<std::string> all = {"average",
                                               "weighted",
                                               "linear",
                                               "ema",
                                               "task_arithmetic",
                                               "fisher",
                                               "regmean",
                                               "ties",
                                               "dare_linear",
                                               "dare_ties",
                                               "slerp",
                                               "median",
                                               "trimmed_mean"};
  return all;
}

bool needs_base(const Recipe& recipe) {
  return recipe.method == "task_arithmetic" || recipe.method == "ties" ||
         recipe.method == "dare_linear" || recipe.method == "dare_ties" ||
         (recipe.method == "slerp" && recipe.on == "tau");
}

bool needs_statistics(const Recipe& recipe) {
  return recipe.method == "fisher" || recipe.method == "regmean";
}

std::vector<std::string> members_of(const std::string& method) {
  std::vector<std::string> names;
  for (const Member& member : members())
    if (reads(member, method)) names.push_back(member.name);
  return names;
}

std::vector<Error> check(const Recipe& recipe) {
  std::vector<std::string> known = methods();
  if (std::find(known.begin(), known.end(), recipe.method) == known.end()) {
    known.insert(known.begin(), "uniform_soup");
    return {usage(fmt::format("no method is called \"{}\"", recipe.method),
                  or_else(did_you_mean(recipe.method, known),
                          fmt::format("one of {}", fmt::join(known, ", "))))};
  }
  std::vector<Error> problems;
  for (const Member& member : members())
    if (reads(member, recipe.method) && !member.valid(recipe))
      problems.push_back(usage(fmt::format("{} is out of range", member.name),
                               recipe.compat == "ties-ref" && member.name == "k"
                                   ? "a share from 0 to 1; above 1, up to 100, a percentage"
                                   : member.range));
  if (recipe.models.empty()) problems.push_back(usage("a merge needs models", "name at least one"));
  if (recipe.method == "slerp" && recipe.models.size() != 2)
    problems.push_back(usage(fmt::format("slerp of {}", counted(recipe.models.size(), "model")),
                             "it joins exactly two: with more, their order would matter"));
  if (needs_base(recipe) && recipe.base.empty())
    problems.push_back(usage(fmt::format("{} needs a base", recipe.method),
                             "name the model that the others were fine-tuned from"));
  if (recipe.compat == "ties-ref" && recipe.method == "ties" && recipe.trim &&
      (recipe.k == 1 || recipe.k == 100))
    problems.push_back(usage("the TIES reference fails when all entries are kept",
                             "use k below 1 (a share) or from 1 to below 100 (percent), or no "
                             "compat"));
  if (recipe.compat == "ties-ref" && recipe.method != "ties")
    problems.push_back(usage("compat \"ties-ref\" is for ties", "leave it out"));
  check_weights(recipe, problems);
  return problems;
}

Result<Recipe> parse_recipe(const Json& json, const std::string& where) {
  if (!json.is_object())
    return usage(fmt::format("{}: a recipe is no JSON object", where), "give a method and models");
  std::vector<Error> problems;
  Recipe recipe;
  const auto method = json.find("method");
  if (method == json.end() || !method->is_string())
    return usage(fmt::format("{}: a recipe needs a method", where),
                 fmt::format("one of {}", fmt::join(methods(), ", ")));
  recipe.method = method->get<std::string>();
  if (recipe.method == "uniform_soup") recipe.method = "average";
  if (std::optional<Error> wrong = read_names(json, recipe)) problems.push_back(*wrong);

  std::vector<std::string> known = members_of(recipe.method);
  if (json.contains("compat") && json["compat"].is_string()) {
    recipe.compat = json["compat"].get<std::string>();
    apply_compat(recipe);
  }
  for (const Member& member : members()) {
    const auto value = json.find(member.name);
    if (value == json.end() || !reads(member, recipe.method)) continue;
    if (!member.read(*value, recipe))
      problems.push_back(usage(fmt::format("{} has the wrong type", member.name), member.range));
  }
  known.insert(known.end(), {"method", "base", "models"});
  for (const auto& [key, value] : json.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      problems.push_back(usage(
          fmt::format("{} does not read \"{}\"", recipe.method, key),
          or_else(did_you_mean(key, known), fmt::format("it reads {}", fmt::join(known, ", ")))));
  for (Error& problem : check(recipe)) problems.push_back(std::move(problem));
  if (!problems.empty())
    return combine(std::move(problems), "several members are wrong").with_context(where);
  return recipe;
}

Json to_json(const Recipe& recipe) {
  Json json = {{"method", recipe.method}, {"models", recipe.models}};
  if (!recipe.base.empty()) json["base"] = recipe.base;
  for (const Member& member : members()) {
    if (!reads(member, recipe.method)) continue;
    Json value = member.write(recipe);
    if (value.is_null() || (member.name == "compat" && value == "")) continue;
    json[member.name] = std::move(value);
  }
  return json;
}

}  // namespace ration::merge
