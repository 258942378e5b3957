#include "scheduler/stop_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace ration::scheduler {
namespace {

constexpr double kMostEta = 100;
constexpr std::int64_t kMostLeast = 1'000'000;

class StopReader {
 public:
  StopReader(const SourceText& source, const Names& names, Problems& problems)
      : source_(source), names_(names), problems_(problems) {}

  StopRules read(const Node& stop) {
    StopRules rules;
    if (!is_table(stop, "stop", "[stop.halving]")) return rules;
    for (const Member& member : stop.members) {
      if (member.key == "halving") {
        if (is_table(member.node, "stop.halving", "[stop.halving] with a line eta = 3"))
          rules.halving = read_halving(member.node);
      } else if (member.key == "predicted") {
        if (is_table(member.node, "stop.predicted", "[stop.predicted] with a line within = 0.01"))
          rules.predicted = read_predicted(member.node);
      } else {
        unknown(member, "stop", {"halving", "predicted"});
      }
    }
    return rules;
  }

 private:
  HalvingRule read_halving(const Node& table) {
    HalvingRule rule;
    bool rungs_given = false;
    for (const Member& member : table.members) {
      const Node& node = member.node;
      if (member.key == "eta") {
        rule.halving.eta =
            number(node, "eta", 2, kMostEta, "3 lets the best third go on").value_or(3);
      } else if (member.key == "rungs") {
        rungs_given = true;
        rule.halving.rungs = read_rungs(node);
      } else if (member.key == "least") {
        const auto* whole = std::get_if<std::int64_t>(&node.value);
        if (node.kind == Node::Kind::value && whole != nullptr && *whole >= 2 &&
            *whole <= kMostLeast)
          rule.halving.least = static_cast<int>(*whole);
        else
          report(node.place,
                 fmt::format("least must be a whole number from 2 to {}", kMostLeast),
                 "configurations that reach a rung before any is stopped there");
      } else if (member.key == "bracket") {
        rule.bracket = read_bracket(node);
      } else {
        unknown(member, "stop.halving", {"eta", "rungs", "least", "bracket"});
      }
    }
    const double eta = rule.halving.eta;
    if (!rungs_given) rule.halving.rungs = {1 / (eta * eta), 1 / eta};
    return rule;
  }

  ForesightRule read_predicted(const Node& table) {
    ForesightRule rule;
    for (const Member& member : table.members) {
      const Node& node = member.node;
      if (member.key == "after") {
        rule.foresight.after = part(node, "after", "part of its tokens that a run has seen");
      } else if (member.key == "within") {
        rule.foresight.within =
            part(node, "within", "widest interval, as a part of the predicted loss");
      } else if (member.key == "fit") {
        const std::string* file = node.text();
        if (file != nullptr && !file->empty())
          rule.fit = *file;
        else
          report(node.place,
                 "fit must be the name of a file",
                 "as `ration fit … -o FILE` writes it; left out: the newest fit of this sweep");
      } else {
        unknown(member, "stop.predicted", {"after", "within", "fit"});
      }
    }
    return rule;
  }

  double part(const Node& node, std::string_view key, std::string hint) {
    const std::optional<double> value = number_of(node);
    if (value && *value > 0 && *value < 1) return *value;
    report(
        node.place, fmt::format("{} must be a number above 0 and below 1", key), std::move(hint));
    return 0.5;
  }

  std::vector<double> read_rungs(const Node& node) {
    const std::string hint = "fractions of a run's tokens, for example rungs = [0.1, 0.3]";
    std::vector<double> rungs;
    if (node.kind != Node::Kind::array || node.items.empty()) {
      report(node.place, "rungs must be a list of fractions", hint);
      return rungs;
    }
    for (const Node& item : node.items) {
      const std::optional<double> rung = number_of(item);
      if (!rung || !(*rung > 0 && *rung < 1))
        report(item.place, "a rung must be a number above 0 and below 1", hint);
      else if (!rungs.empty() && *rung <= rungs.back())
        report(item.place, "rungs must rise", hint);
      else
        rungs.push_back(*rung);
    }
    return rungs;
  }

  std::vector<std::string> read_bracket(const Node& node) {
    const std::string hint =
        "settings that compared runs have in common, for example bracket = [\"tokens\", \"width\"]";
    std::vector<std::string> settings;
    if (node.kind != Node::Kind::array) {
      report(node.place, "bracket must be a list of settings", hint);
      return settings;
    }
    for (const Node& item : node.items) {
      const std::string* word = item.text();
      const std::optional<int> slot = word == nullptr ? std::nullopt : names_.find(*word);
      if (slot && names_[*slot].identity)
        settings.push_back(*word);
      else
        report(item.place,
               word == nullptr ? std::string("bracket names settings")
                               : fmt::format("\"{}\" is no setting that changes results", *word),
               hint);
    }
    return settings;
  }

  static std::optional<double> number_of(const Node& node) {
    if (node.kind != Node::Kind::value) return std::nullopt;
    if (const auto* real = std::get_if<double>(&node.value)) return *real;
    if (const auto* whole = std::get_if<std::int64_t>(&node.value))
      return static_cast<double>(*whole);
    return std::nullopt;
  }

  std::optional<double> number(
      const Node& node, std::string_view key, double low, double high, std::string hint) {
    const std::optional<double> value = number_of(node);
    if (value && *value >= low && *value <= high) return value;
    report(node.place,
           fmt::format("{} must be a number from {} to {}", key, low, high),
           std::move(hint));
    return std::nullopt;
  }

  bool is_table(const Node& node, std::string_view name, std::string_view example) {
    if (node.kind == Node::Kind::table) return true;
    report(node.place,
           fmt::format("{} must be a table", name),
           fmt::format("for example {}", example));
    return false;
  }

  void unknown(const Member& member,
               std::string_view table,
               const std::vector<std::string>& known) {
    std::string hint = did_you_mean(member.key, known);
    if (hint.empty()) hint = fmt::format("known here: {}", fmt::join(known, ", "));
    report(
        member.place, fmt::format("unknown key \"{}\" in {}", member.key, table), std::move(hint));
  }

  void report(Place place, std::string what, std::string hint) {
    problems_.add(source_.problem(place, std::move(what), std::move(hint)));
  }

  const SourceText& source_;
  const Names& names_;
  Problems& problems_;
};

}  // namespace

StopRules read_stop_rules(const Node& stop,
                          const SourceText& source,
                          const Names& names,
                          Problems& problems) {
  return StopReader(source, names, problems).read(stop);
}

}  // namespace ration::scheduler
