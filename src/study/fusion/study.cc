#include "study/fusion/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/table_reader.h"

namespace ration::study {
namespace {

constexpr std::array<const char*, 3> kOwnKeys = {"evaluate", "controls", "arm"};

// Once each, in the order of kMeasures; where the file names none, the target stays.
void read_measures(TableReader& read, std::vector<Measure>& target) {
  std::vector<std::string> known;
  for (const Measure measure : kMeasures) known.emplace_back(name(measure));
  const Json* given = read.find("measures");
  if (given == nullptr) return;
  if (given->empty())
    read.refuse("measures", "is empty", fmt::format("one or more of {}", fmt::join(known, ", ")));
  std::vector<std::string> asked;
  read.choices("measures", known, asked);
  target.clear();
  for (std::size_t i = 0; i < known.size(); ++i)
    if (std::find(asked.begin(), asked.end(), known[i]) != asked.end())
      target.push_back(kMeasures[i]);
}

void read_seeds(TableReader& read, std::vector<std::int64_t>& seeds) {
  const Json* given = read.find("seeds");
  if (given == nullptr) return;
  constexpr std::int64_t kMost = 1000;
  const auto usable = [](const Json& each) {
    return each.is_number_integer() && each.get<std::int64_t>() >= 0;
  };
  if (usable(*given) && given->get<std::int64_t>() >= 1 && given->get<std::int64_t>() <= kMost) {
    seeds.clear();
    for (std::int64_t seed = 0; seed < given->get<std::int64_t>(); ++seed) seeds.push_back(seed);
    return;
  }
  if (given->is_array() && !given->empty() && std::all_of(given->begin(), given->end(), usable)) {
    seeds = given->get<std::vector<std::int64_t>>();
    if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() == seeds.size()) return;
  }
  read.refuse("seeds",
              fmt::format("= {} are no seeds", given->dump()),
              "their number, 1 to 1000, or a list of different ones from 0 on");
}

FusionEvaluation read_evaluation(const Json& json,
                                 const std::string& where,
                                 std::vector<Error>& problems) {
  constexpr std::int64_t kMost = 1'000'000'000'000'000;
  FusionEvaluation found;
  TableReader table(json, where, "[fuse.evaluate]", problems);
  read_seeds(table, found.seeds);
  table.texts("unseen", found.unseen);
  read_measures(table, found.measures);
  table.whole("windows", 0, 1'000'000'000, found.windows, "");
  table.whole("every", 1, 1'000'000, found.every, "");
  table.whole("tokens", 1, kMost, found.tokens, "tok");
  table.whole("few_shot_tokens", 1, kMost, found.few_shot, "tok");
  table.whole("few_shot_epochs", 1, 1'000'000, found.few_epochs, "");
  table.whole("probe_steps", 1, 1'000'000, found.probe.steps, "");
  table.positive("probe_lr", found.probe.lr);
  table.whole("probe_sequences", 1, 65536, found.probe.sequences, "");
  table.whole("draws", 100, 1'000'000, found.draws, "");
  if (const Json* fixed = table.table("fixed")) found.fixed = *fixed;
  table.refuse_unknown();
  if (found.windows % 2 != 0)
    table.refuse("windows", fmt::format("= {} is odd", found.windows), "an even number");
  if (found.wants(Measure::fine_tuned) && found.tokens == 0)
    table.refuse("tokens", "is missing", "how many a base is fine-tuned on: tokens = \"50Ktok\"");
  if (found.wants(Measure::few_shot) && found.few_shot == 0)
    table.refuse(
        "few_shot_tokens", "is missing", "how many different ones: few_shot_tokens = \"4Ktok\"");
  for (const char* key : {"tokens", "epochs", "seed", "init", "points", "unique_tokens"})
    if (found.fixed.contains(key))
      table.refuse(fmt::format("fixed.{}", key), "cannot be set here", "the experiment sets it");
  return found;
}

FusionControls read_controls(const Json& json,
                             const std::string& where,
                             std::vector<Error>& problems) {
  FusionControls found;
  TableReader table(json, where, "[fuse.controls]", problems);
  table.flag("multitask", found.multitask);
  table.flag("one_shot", found.one_shot);
  table.flag("sequential", found.sequential);
  table.refuse_unknown();
  return found;
}

// 1 to 32 letters, digits, `_` or `-`: part of a file's name and of a sweep's.
bool is_name_of_arm(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), fits) &&
         name.front() != '_' && name.front() != '-';
}

// The contributors are the same in all arms, or corpora could not be compared.
void refuse_other_contributors(const FusionArm& first,
                               const FusionArm& arm,
                               const TableReader& table) {
  const auto same = [](const fuse::Contributor& a, const fuse::Contributor& b) {
    return a.id == b.id && a.data == b.data;
  };
  const auto &a = first.config.contributors, &b = arm.config.contributors;
  if (!std::equal(a.begin(), a.end(), b.begin(), b.end(), same))
    table.refuse_table("has other contributors than the first arm",
                       "leave `contributor` to [fuse]");
  if (arm.config.base != first.config.base)
    table.refuse_table("has another base than the first arm", "leave `base` to [fuse]");
}

class ArmReader {
 public:
  ArmReader(const Json& table,
            const FusionEvaluation& evaluate,
            const std::string& where,
            std::vector<Error>& problems)
      : evaluate_(evaluate), where_(where), problems_(problems), shared_(table) {
    for (const char* key : kOwnKeys) shared_.erase(key);
  }

  std::vector<FusionArm> read(const Json& table) {
    const auto given = table.find("arm");
    if (given == table.end()) {
      add(Json{{"name", "fuse"}}, "[fuse]");
    } else if (!given->is_array() || given->empty()) {
      TableReader(shared_, where_, "[[fuse.arm]]", problems_)
          .refuse_table("must be a group of tables", "begin each with [[fuse.arm]]");
    } else {
      for (const Json& each : *given) add(each, fmt::format("arm {}", arms_.size() + 1));
    }
    for (const FusionArm& arm : arms_) check_against(arm);
    return std::move(arms_);
  }

 private:
  void add(const Json& json, std::string title) {
    FusionArm arm;
    if (!json.is_object()) {
      TableReader(shared_, where_, std::move(title), problems_)
          .refuse_table("must be a table", "begin each with [[fuse.arm]]");
      return;
    }
    if (const auto name = json.find("name"); name != json.end() && name->is_string())
      arm.name = name->get<std::string>();
    if (!arm.name.empty() && json.contains("name") && title != "[fuse]")
      title = fmt::format("arm \"{}\"", arm.name);
    TableReader table(json, where_, title, problems_);
    check_name(arm.name, table);
    table.text("against", arm.against, TableReader::Empty::taken);
    arm.measures = evaluate_.measures;
    read_measures(table, arm.measures);
    for (const Measure measure : arm.measures)
      if (!evaluate_.wants(measure))
        table.refuse("measures",
                     fmt::format("name {}, which [fuse.evaluate] does not measure", name(measure)),
                     "name it there, too");
    if (readable_) read_config(json, title, arm);
    if (readable_ && !arms_.empty()) refuse_other_contributors(arms_[0], arm, table);
    if (readable_ && arms_.empty() && !arm.config.faults.empty())
      table.refuse_table("has faults, and the controls would train on as many tokens as it",
                         "let the first arm be one without");
    arms_.push_back(std::move(arm));
  }

  void check_name(const std::string& name, const TableReader& table) const {
    if (!is_name_of_arm(name))
      return table.refuse_table("lacks a usable name", "1 to 32 letters, digits, `_` or `-`");
    for (const std::string_view control : {kNoFusion, kMultitask, kOneShot, kSequential})
      if (name == control) table.refuse_table("is called like a control", "choose another name");
    for (const FusionArm& other : arms_)
      if (other.name == name) table.refuse_table("repeats a name", "choose another name");
  }

  void read_config(const Json& json, const std::string& title, FusionArm& arm) {
    Json table = shared_;
    Json changes = json;
    for (const char* key : {"name", "against", "measures"}) changes.erase(key);
    table.merge_patch(changes);
    Result<fuse::Config> config =
        fuse::parse_config(table, title == "[fuse]" ? where_ : where_ + ": " + title);
    if (!config) {
      readable_ = false;  // most of it would be told again of every arm
      return problems_.push_back(std::move(config).error());
    }
    arm.config = std::move(*config);
    for (const fuse::Contributor& each : arm.config.contributors)
      if (each.external)
        problems_.push_back(
            {.kind = ErrorKind::usage,
             .what = fmt::format("{}: {} has the external contributor {}", where_, title, each.id),
             .hint = "an experiment trains all of them"});
  }

  void check_against(const FusionArm& arm) const {
    if (arm.against.empty()) return;
    const bool known = std::any_of(arms_.begin(), arms_.end(), [&](const FusionArm& other) {
      return other.name == arm.against && &other != &arm;
    });
    if (!known)
      problems_.push_back(
          {.kind = ErrorKind::usage,
           .what = fmt::format("{}: arm \"{}\" is against \"{}\", which is no other arm",
                               where_,
                               arm.name,
                               arm.against),
           .hint = "the name of another [[fuse.arm]]"});
  }

  const FusionEvaluation& evaluate_;
  const std::string& where_;
  std::vector<Error>& problems_;
  Json shared_;  // [fuse] without what is the experiment's
  std::vector<FusionArm> arms_;
  bool readable_ = true;
};

}  // namespace

bool FusionArm::measured_by(Measure measure) const {
  return std::find(measures.begin(), measures.end(), measure) != measures.end();
}

bool FusionEvaluation::wants(Measure measure) const {
  return std::find(measures.begin(), measures.end(), measure) != measures.end();
}

bool is_experiment(const Json& table) {
  return table.is_object() && std::any_of(kOwnKeys.begin(), kOwnKeys.end(), [&](const char* key) {
           return table.contains(key);
         });
}

Result<FusionStudy> parse_fusion_study(const Json& table, const std::string& where) {
  std::vector<Error> problems;
  FusionStudy study;
  const Json none = Json::object();
  TableReader read(table, where, "[fuse]", problems);
  const Json* evaluate = read.table("evaluate");
  study.evaluate = read_evaluation(evaluate != nullptr ? *evaluate : none, where, problems);
  const Json* controls = read.table("controls");
  study.controls = read_controls(controls != nullptr ? *controls : none, where, problems);
  study.arms = ArmReader(table, study.evaluate, where, problems).read(table);
  if (!problems.empty())
    return combine(std::move(problems), where + ": an experiment that cannot be carried out");
  return study;
}

}  // namespace ration::study
