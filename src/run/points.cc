#include "run/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>

namespace ration::run {
namespace {

constexpr std::string_view kSchema = "ration.points/1";

Error wrong(const std::string& file, std::string what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}: {}", file, what),
          .hint = "docs/formats.md shows a list of points"};
}

// The first member of `object` that is none of `known`; empty when there is none.
std::string unknown_member(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items())
    if (std::find(known.begin(), known.end(), key) == known.end()) return key;
  return {};
}

// Members of an object with their types; the first problem is kept.
class Members {
 public:
  Members(const Json& object, std::string where, std::initializer_list<std::string_view> known)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) {
      why_ = where_ + " is no object";
    } else if (const std::string other = unknown_member(object, known); !other.empty()) {
      why_ = fmt::format("{} has an unknown member \"{}\"", where_, other);
    }
  }

  template <class T>
  void read(const char* name, T& into, bool required = false) {
    if (!why_.empty()) return;
    const auto found = object_.find(name);
    if (found == object_.end()) {
      if (required) why_ = fmt::format("{} has no \"{}\"", where_, name);
      return;
    }
    if constexpr (std::is_same_v<T, std::int64_t>) {
      if (!found->is_number_integer()) {  // a fraction would be cut
        why_ = fmt::format("\"{}\" of {} is no whole number", name, where_);
        return;
      }
    }
    try {
      into = found->get<T>();
    } catch (const nlohmann::json::exception&) {
      why_ = fmt::format("\"{}\" of {} has another type", name, where_);
    }
  }
  void demand(bool holds, std::string_view what) {
    if (why_.empty() && !holds) why_ = fmt::format("{}: {}", where_, what);
  }
  const std::string& why() const { return why_; }

 private:
  const Json& object_;
  std::string where_, why_;
};

std::string read_models(const Json& json, PointList& list) {
  if (!json.is_object() || json.empty()) return "it names no models";
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) return fmt::format("model \"{}\" is no text", name);
    Result<Weights> weights = parse_weights(value.get<std::string>());
    if (!weights) return fmt::format("model \"{}\": {}", name, weights.error().what);
    if (weights->run.empty() && !list.files.contains(name))
      return fmt::format("\"files\" does not say where model \"{}\" lies", name);
    list.models.emplace(name, *std::move(weights));
  }
  return {};
}

std::string read_corpus(const Json& json, PointCorpus& corpus) {
  Members members(json, "a corpus", {"name", "data", "digest", "first_window", "windows"});
  members.read("name", corpus.name, true);
  members.read("data", corpus.data, true);
  members.read("digest", corpus.digest, true);
  members.read("first_window", corpus.first_window);
  members.read("windows", corpus.windows);
  members.demand(corpus.first_window >= 0 && corpus.windows >= 0,
                 "windows are counted from 0, as whole numbers");
  return members.why();
}

// The models that a recipe names, base first.
std::vector<std::string> models_of(const Json& recipe) {
  std::vector<std::string> names;
  if (const auto base = recipe.find("base"); base != recipe.end() && base->is_string())
    names.push_back(base->get<std::string>());
  if (const auto models = recipe.find("models"); models != recipe.end() && models->is_array())
    for (const Json& model : *models)
      if (model.is_string()) names.push_back(model.get<std::string>());
  return names;
}

bool are_indices(const Json& json) {
  return json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& each) {
           return each.is_number_unsigned();
         });
}

std::string read_point(const Json& json, const PointList& list, Point& point) {
  Members members(json, "a point", {"name", "recipe", "corpora"});
  if (json.is_object() && !are_indices(json.value("corpora", Json::array())))
    return "\"corpora\" of a point are no places in the list of corpora";
  members.read("name", point.name, true);
  members.read("recipe", point.recipe, true);
  members.read("corpora", point.corpora);
  if (!members.why().empty()) return members.why();
  if (!point.recipe.is_object())
    return fmt::format("the recipe of \"{}\" is no object", point.name);
  const std::vector<std::string> models = models_of(point.recipe);
  if (models.empty()) return fmt::format("the recipe of \"{}\" names no models", point.name);
  for (const std::string& model : models)
    if (!list.models.contains(model))
      return fmt::format(
          "point \"{}\" wants model \"{}\", which is not in \"models\"", point.name, model);
  for (const std::size_t corpus : point.corpora)
    if (corpus >= list.corpora.size())
      return fmt::format(
          "point \"{}\" wants corpus {} of {}", point.name, corpus, list.corpora.size());
  return {};
}

std::string read_probe(const Json& json, const PointList& list, PointProbe& probe) {
  Members members(json, "\"probe\"", {"steps", "lr", "sequences"});
  members.read("steps", probe.steps);
  members.read("lr", probe.lr);
  members.read("sequences", probe.sequences);
  members.demand(probe.steps >= 1 && probe.steps <= 1'000'000, "steps must be 1 to 1000000");
  members.demand(probe.lr > 0 && probe.lr <= 100, "lr must be above 0, at most 100");
  members.demand(probe.sequences >= 1 && probe.sequences <= 65536, "sequences must be 1 to 65536");
  members.demand(!list.corpora.empty(), "there is no corpus to fit it on");
  return members.why();
}

template <class List>
std::string repeated_name(const List& list) {
  std::set<std::string> seen;
  for (const auto& each : list)
    if (!seen.insert(each.name).second) return each.name;
  return {};
}

std::string read_list(const Json& json, PointList& list) {
  if (!json.is_object() || json.value("schema", Json()) != kSchema)
    return fmt::format("it is no list of points of schema {}", kSchema);
  Members members(
      json, "the list", {"schema", "models", "files", "corpora", "points", "sequences", "probe"});
  members.read("files", list.files);
  members.read("sequences", list.sequences);
  if (!members.why().empty()) return members.why();
  if (std::string why = read_models(json.value("models", Json()), list); !why.empty()) return why;
  for (const char* name : {"corpora", "points"})
    if (!json.value(name, Json::array()).is_array())
      return fmt::format("\"{}\" of the list is no array", name);
  for (const Json& each : json.value("corpora", Json::array()))
    if (std::string why = read_corpus(each, list.corpora.emplace_back()); !why.empty()) return why;
  if (list.corpora.empty()) return "it names no corpora";
  for (const Json& each : json.value("points", Json::array()))
    if (std::string why = read_point(each, list, list.points.emplace_back()); !why.empty())
      return why;
  if (list.points.empty()) return "it names no points";
  for (const std::string& name : {repeated_name(list.corpora), repeated_name(list.points)})
    if (!name.empty()) return fmt::format("the name \"{}\" stands twice", name);
  if (json.contains("probe")) return read_probe(json["probe"], list, list.probe.emplace());
  return {};
}

}  // namespace

std::string points_text(const PointList& list) {
  Json json = {{"schema", kSchema},
               {"models", Json::object()},
               {"corpora", Json::array()},
               {"points", Json::array()},
               {"sequences", list.sequences}};
  for (const auto& [name, weights] : list.models) json["models"][name] = text(weights);
  if (!list.files.empty()) json["files"] = list.files;
  for (const PointCorpus& corpus : list.corpora)
    json["corpora"].push_back({{"name", corpus.name},
                               {"data", corpus.data},
                               {"digest", corpus.digest},
                               {"first_window", corpus.first_window},
                               {"windows", corpus.windows}});
  for (const Point& point : list.points) {
    json["points"].push_back({{"name", point.name}, {"recipe", point.recipe}});
    if (!point.corpora.empty()) json["points"].back()["corpora"] = point.corpora;
  }
  if (list.probe)
    json["probe"] = {
        {"steps", list.probe->steps}, {"lr", list.probe->lr}, {"sequences", list.probe->sequences}};
  return canonical_json(json).value() + "\n";  // numbers were checked: no NaN
}

Result<PointList> parse_points(std::string_view text, const std::string& file) {
  Result<Json> json = parse_json(text, file);
  if (!json) return std::move(json).error();
  PointList list;
  if (std::string why = read_list(*json, list); !why.empty()) return wrong(file, std::move(why));
  return list;
}

std::vector<Weights> runs_needed(const PointList& list) {
  std::vector<Weights> runs;
  for (const auto& [name, weights] : list.models)
    if (!weights.run.empty() && std::find(runs.begin(), runs.end(), weights) == runs.end())
      runs.push_back(weights);
  return runs;
}

}  // namespace ration::run
