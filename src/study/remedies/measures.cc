#include "study/remedies/measures.h"

#include <fmt/format.h>

#include <cmath>

#include "study/output.h"
#include "study/remedies/table.h"

namespace ration::study {
namespace {

constexpr std::string_view kSchema = "ration.measured/1";

Json measure_json(const RemedyMeasure& m) {
  Json json = {{"arm", m.arm},
               {"size", m.size},
               {"replica", m.replica},
               {"params", m.params},
               {"params_stored", m.params_stored},
               {"tokens", m.tokens},
               {"tokens_added", m.added},
               {"tokens_unique", m.unique},
               {"loss_nats", m.loss},
               {"flops", m.flops},
               {"flops_donors", m.donors}};
  if (!m.run.empty()) json["run"] = m.run;
  if (m.task) json["task"] = *m.task;
  return json;
}

// Reads members of an object and notes what is wrong.
class Members {
 public:
  Members(const Json& json, std::string where, std::vector<Error>& problems)
      : json_(json), where_(std::move(where)), problems_(problems) {
    if (!json.is_object()) refuse("is no object");
  }

  std::string text(const char* key, bool needed = true) {
    const Json* value = find(key, needed);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    refuse(fmt::format("{} is no text", key));
    return {};
  }

  // From `low` on, and no more than any run can have.
  double number(const char* key, double low, bool needed = true) {
    const Json* value = find(key, needed);
    if (value == nullptr) return 0;
    constexpr double kMost = 1e40;
    if (value->is_number() && value->get<double>() >= low && value->get<double>() <= kMost)
      return value->get<double>();
    refuse(fmt::format("{} = {} is no number from {} on", key, value->dump(), low));
    return 0;
  }

  std::int64_t whole(const char* key) {
    constexpr double kMost = 9007199254740992;  // 2^53
    const double value = number(key, 0);
    if (value <= kMost && value == std::floor(value)) return static_cast<std::int64_t>(value);
    refuse(fmt::format("{} = {} is no whole number up to 2^53", key, value));
    return 0;
  }

  // Those of a list; what is no text is refused.
  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> found;
    if (!has(key)) return found;
    for (const Json& item : list(key))
      if (item.is_string())
        found.push_back(item.get<std::string>());
      else
        refuse(fmt::format("{} holds {}, which is no text", key, item.dump()));
    return found;
  }

  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }

  const Json& list(const char* key) {
    static const Json kNone = Json::array();
    const Json* value = find(key, true);
    if (value != nullptr && value->is_array()) return *value;
    if (value != nullptr) refuse(fmt::format("{} is no list", key));
    return kNone;
  }

  void refuse(const std::string& what) {
    problems_.push_back({.kind = ErrorKind::input, .what = fmt::format("{}: {}", where_, what)});
  }

 private:
  const Json* find(const char* key, bool needed) {
    if (has(key)) return &json_[key];
    if (needed && json_.is_object()) refuse(fmt::format("{} is missing", key));
    return nullptr;
  }

  const Json& json_;
  std::string where_;
  std::vector<Error>& problems_;
};

RemedyMeasure read_measure(const Json& json,
                           const std::string& where,
                           std::vector<Error>& problems) {
  Members read(json, where, problems);
  RemedyMeasure m{.arm = read.text("arm"), .size = read.text("size")};
  m.replica = read.whole("replica");
  m.run = read.text("run", false);
  m.params = read.number("params", 1);
  m.params_stored = read.has("params_stored") ? read.number("params_stored", 1) : m.params;
  m.tokens = read.number("tokens", 1);
  m.added = read.number("tokens_added", 0, false);
  m.unique = read.number("tokens_unique", 1);
  m.loss = read.number("loss_nats", 1e-9);
  m.flops = read.number("flops", 1);
  m.donors = read.number("flops_donors", 0, false);
  if (read.has("task")) {
    m.task = read.number("task", 0);
    if (*m.task > 1) read.refuse("task is a share, from 0 to 1");
  }
  return m;
}

MeasuredArm read_arm(const Json& json, const std::string& where, std::vector<Error>& problems) {
  Members read(json, where, problems);
  MeasuredArm arm{.name = read.text("name"), .kind = read.text("kind")};
  arm.group = read.text("group", false);
  arm.parts = read.texts("parts");
  const std::vector<std::string>& kinds = remedy_kinds();
  if (std::find(kinds.begin(), kinds.end(), arm.kind) == kinds.end())
    read.refuse(fmt::format("kind \"{}\" is none of {}", arm.kind, fmt::join(kinds, ", ")));
  return arm;
}

void check_arms(const RemedyMeasures& measured,
                const std::string& file,
                std::vector<Error>& problems) {
  const auto known = [&](const std::string& name) {
    return name == measured.baseline ||
           std::any_of(measured.arms.begin(), measured.arms.end(), [&](const MeasuredArm& arm) {
             return arm.name == name;
           });
  };
  for (const RemedyMeasure& run : measured.runs)
    if (!known(run.arm))
      return problems.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("{}: a run is of the arm \"{}\", which is none", file, run.arm)});
}

}  // namespace

Json to_json(const RemedyMeasures& measured) {
  Json arms = Json::array(), runs = Json::array(), law = Json::array();
  for (const MeasuredArm& arm : measured.arms) {
    Json json = {{"name", arm.name}, {"kind", arm.kind}};
    if (!arm.group.empty()) json["group"] = arm.group;
    if (!arm.parts.empty()) json["parts"] = arm.parts;
    arms.push_back(std::move(json));
  }
  for (const RemedyMeasure& each : measured.runs) runs.push_back(measure_json(each));
  for (const RemedyMeasure& each : measured.law) law.push_back(measure_json(each));
  return {{"schema", kSchema},
          {"name", measured.name},
          {"baseline", measured.baseline},
          {"task", measured.task},
          {"arms", std::move(arms)},
          {"runs", std::move(runs)},
          {"law", std::move(law)},
          {"notes", measured.notes}};
}

Result<RemedyMeasures> measures_from_json(const Json& json, const std::string& file) {
  std::vector<Error> problems;
  Members read(json, file, problems);
  if (json.is_object() && json.value("schema", Json()) != kSchema)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is no {}", file, kSchema),
                 .hint = "`ration run` of a sweep with [remedies] writes one"};
  RemedyMeasures measured{.name = read.text("name"),
                          .baseline = read.text("baseline"),
                          .task = read.text("task", false)};
  const auto each = [&](const char* key, auto&& take) {
    std::size_t i = 0;
    for (const Json& item : read.list(key)) take(item, fmt::format("{}: {}[{}]", file, key, i++));
  };
  each("arms", [&](const Json& item, const std::string& where) {
    measured.arms.push_back(read_arm(item, where, problems));
  });
  each("runs", [&](const Json& item, const std::string& where) {
    measured.runs.push_back(read_measure(item, where, problems));
  });
  each("law", [&](const Json& item, const std::string& where) {
    measured.law.push_back(read_measure(item, where, problems));
  });
  measured.notes = read.texts("notes");
  check_arms(measured, file, problems);
  if (problems.empty()) return measured;
  return combine(std::move(problems), fmt::format("{} cannot be used", file));
}

Path measures_path(const Path& store, const std::string& name) {
  return study_folder(store, name) / "measured.json";
}

Result<void> write_measures(Files& files, const Path& store, const RemedyMeasures& measured) {
  const Path path = measures_path(store, measured.name);
  if (Result<void> made = files.make_folders(path.parent_path()); !made) return made;
  return files.write_whole(path, to_json(measured).dump(1) + "\n");
}

}  // namespace ration::study
