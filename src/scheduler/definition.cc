#include "scheduler/definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.h"
#include "scheduler/section.h"
#include "scheduler/sources.h"

namespace ration::scheduler {
namespace {

constexpr std::size_t kMaxBlocks = 1000;
constexpr std::size_t kMaxVariables = 100;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Names become parts of paths and of job names: nothing in them means something to a shell.
bool is_safe_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && is_letter_or_digit(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

bool is_variable_name(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kReserved = {"and",
                                                                 "or",
                                                                 "not",
                                                                 "true",
                                                                 "false",
                                                                 "min",
                                                                 "max",
                                                                 "ceil",
                                                                 "floor",
                                                                 "round",
                                                                 "log2",
                                                                 "sqrt",
                                                                 "int",
                                                                 "if"};
  return !name.empty() && name.size() <= 64 && !(name[0] >= '0' && name[0] <= '9') &&
         std::find(kReserved.begin(), kReserved.end(), name) == kReserved.end() &&
         std::all_of(
             name.begin(), name.end(), [](char c) { return is_letter_or_digit(c) || c == '_'; });
}

class DefinitionReader {
 public:
  explicit DefinitionReader(std::shared_ptr<const SourceText> source)
      : source_(std::move(source)), sections_(source_, names_, problems_) {}

  Result<Definition> read() {
    const std::string summary = fmt::format("{}: a sweep that cannot be used", source_->file());
    const std::optional<Node> root = read_document(*source_, problems_);
    if (!root) return std::move(problems_).take(summary);
    read_name(*root);
    if (const Member* let = root->find("let")) read_variables(let->node);
    if (const Member* goal = root->find("goal")) read_goal(goal->node);
    StopRules stop;
    if (const Member* member = root->find("stop"))
      stop = read_stop_rules(member->node, *source_, names_, problems_);
    if (const Member* weight = root->find("weight")) read_weight(weight->node);
    std::map<std::string, SourceTable> sources;
    if (const Member* member = root->find("sources"))
      sources = read_source_tables(member->node, *source_, problems_);
    const bool multiply = read_blocks_word(*root);
    Section top{.title = "the top of the file"};
    std::vector<std::string> others = {
        "name", "weight", "goal", "stop", "let", "sources", "blocks", "block"};
    others.insert(others.end(), kStudies.begin(), kStudies.end());
    read_members(*root, top, others);
    std::vector<Section> inner;
    if (const Member* block = root->find("block")) inner = read_blocks(block->node);
    const std::optional<Study> study = read_study(*root, *source_, problems_);
    if (multiply && inner.size() > 1) inner = {joined(std::move(inner))};
    if (inner.empty()) inner.push_back({.title = top.title});
    check_conditions(top, inner);
    Definition definition{.source = source_,
                          .names = names_,
                          .name = name_,
                          .goal = std::move(goal_),
                          .stop = std::move(stop),
                          .weight = weight_,
                          .sources = std::move(sources),
                          .study = study,
                          .has_runs = !study || asks_for_runs(*root)};
    for (const Section& section : inner) definition.blocks.push_back(block_of(top, section));
    if (!problems_.empty()) return std::move(problems_).take(summary);
    return definition;
  }

 private:
  void report(Place place, std::string what, std::string hint) {
    problems_.add(source_->problem(place, std::move(what), std::move(hint)));
  }

  void read_name(const Node& root) {
    const std::string hint =
        "1 to 64 letters, digits, `_`, `.` or `-`, the first a letter or digit";
    if (const Member* member = root.find("name")) {
      const std::string* text = member->node.text();
      if (text == nullptr || !is_safe_name(*text))
        report(member->node.place, "the name of the sweep cannot be used", hint);
      else
        name_ = *text;
      return;
    }
    name_ = std::filesystem::path(source_->file()).stem().string();
    if (!is_safe_name(name_))
      report({},
             "the sweep has no name, and the file's cannot be used as one",
             "add name = \"…\": " + hint);
  }

  void read_weight(const Node& node) {
    constexpr double kMost = 1e6;
    const auto* whole = std::get_if<std::int64_t>(&node.value);
    const auto* real = std::get_if<double>(&node.value);
    const double weight = whole != nullptr  ? static_cast<double>(*whole)
                          : real != nullptr ? *real
                                            : 0;
    if (node.kind == Node::Kind::value && weight > 0 && weight <= kMost)
      weight_ = weight;
    else
      report(node.place,
             "weight must be a number above 0 and at most 1e6",
             "beside other sweeps of one command, twice the weight has twice the room; default 1");
  }

  // Words for the commands that plan: kept as they are, so that the scheduler need not know them.
  void read_goal(const Node& goal) {
    static const std::vector<std::string> kKeys = {"budget", "unique", "law", "delta"};
    if (goal.kind != Node::Kind::table)
      return report(goal.place,
                    "goal must be a table",
                    "for example [goal] with a line budget = \"1e15flop\"");
    for (const Member& member : goal.members) {
      const bool known = std::find(kKeys.begin(), kKeys.end(), member.key) != kKeys.end();
      const bool worded =
          member.node.kind == Node::Kind::value && !std::holds_alternative<bool>(member.node.value);
      if (!known) {
        std::string hint = did_you_mean(member.key, kKeys);
        if (hint.empty()) hint = fmt::format("known here: {}", fmt::join(kKeys, ", "));
        report(member.place, fmt::format("unknown key \"{}\" in goal", member.key), hint);
      } else if (!worded) {
        report(member.node.place,
               fmt::format("{} must be a text or a number", member.key),
               "as the option of that name takes it, such as \"1e15flop\" or \"2Mtok\"");
      } else {
        goal_[member.key] =
            std::visit([](const auto& v) { return fmt::format("{}", v); }, member.node.value);
      }
    }
  }

  void read_variables(const Node& let) {
    const std::string hint = "for example [let] with a line size = 1";
    if (let.kind != Node::Kind::table) return report(let.place, "let must be a table", hint);
    for (const Member& member : let.members) {
      if (!is_variable_name(member.key))
        report(member.place,
               fmt::format("\"{}\" cannot name a variable", member.key),
               "up to 64 letters, digits and `_`, and no word of the expressions");
      else if (names_.find(member.key))
        report(member.place,
               fmt::format("{} has a meaning already", member.key),
               "settings are set under [fixed] or [grid]; choose another name for the variable");
      else if (member.node.kind != Node::Kind::value)
        report(member.node.place,
               fmt::format("{} must be one value", member.key),
               "values to go through belong under [grid]");
      else if (++variables_ > kMaxVariables)
        return report(
            member.place, fmt::format("more than {} variables", kMaxVariables), "use fewer");
      else
        names_.declare(member.key, member.node.value);
    }
  }

  // A file with a study alone trains nothing.
  static bool asks_for_runs(const Node& root) {
    const std::vector<std::string>& keys = SectionReader::keys();
    return std::any_of(root.members.begin(), root.members.end(), [&](const Member& member) {
      return member.key == "block" || std::find(keys.begin(), keys.end(), member.key) != keys.end();
    });
  }

  // blocks = "union" or "product"; true: product.
  bool read_blocks_word(const Node& root) {
    const Member* member = root.find("blocks");
    if (member == nullptr) return false;
    const std::string* word = member->node.text();
    if (word == nullptr || (*word != "union" && *word != "product"))
      report(member->node.place,
             "blocks must be \"union\" or \"product\"",
             "union: the runs of all [[block]]s; product: every combination of them");
    return word != nullptr && *word == "product";
  }

  void read_members(const Node& table, Section& section, const std::vector<std::string>& others) {
    for (const Member& member : table.members) {
      if (std::find(others.begin(), others.end(), member.key) != others.end()) continue;
      if (sections_.read(member, section)) continue;
      std::vector<std::string> known = SectionReader::keys();
      known.insert(known.end(), others.begin(), others.end());
      std::string hint = names_.find(member.key) ? "settings belong under [fixed], [grid], [zip], "
                                                   "[[list]] or [derive]"
                                                 : did_you_mean(member.key, known);
      if (hint.empty()) hint = fmt::format("known here: {}", fmt::join(known, ", "));
      report(member.place,
             fmt::format("unknown key \"{}\" in {}", member.key, section.title),
             std::move(hint));
    }
  }

  std::vector<Section> read_blocks(const Node& node) {
    std::vector<Section> sections;
    if (node.kind != Node::Kind::array || node.items.empty()) {
      report(node.place, "block must be a group of tables", "begin each one with [[block]]");
      return sections;
    }
    if (node.items.size() > kMaxBlocks) {
      report(node.place,
             fmt::format("{} blocks; at most {} are read", node.items.size(), kMaxBlocks),
             "use [[list]] for single runs");
      return sections;
    }
    for (const Node& item : node.items) {
      sections.push_back(
          {.title = fmt::format("block {}", sections.size() + 1), .place = item.place});
      if (item.kind == Node::Kind::table) {
        read_members(item, sections.back(), {"name"});
        if (const Member* name = item.find("name")) read_block_name(name->node, sections);
      } else {
        report(item.place, "a block must be a table", "begin it with [[block]]");
      }
    }
    return sections;
  }

  // Of the last of `sections`.
  void read_block_name(const Node& node, std::vector<Section>& sections) {
    const std::string* text = node.text();
    if (text == nullptr || !is_safe_name(*text))
      return report(node.place,
                    "the name of a block cannot be used",
                    "1 to 64 letters, digits, `_`, `.` or `-`, the first a letter or digit");
    for (const Section& other : sections)
      if (other.name == *text)
        return report(node.place,
                      fmt::format("two blocks are called \"{}\"", *text),
                      "`init = \"block:NAME\"` means one of them: rename the other");
    sections.back().name = *text;
  }

  // All blocks as one section: their axes multiply.
  Section joined(std::vector<Section> sections) {
    Section all = std::move(sections.front());
    const auto once = [&](auto& into, auto& from, std::string_view key) {
      if (from && into)
        report(all.place,
               fmt::format("two blocks set {}", key),
               "with blocks = \"product\" only one may");
      if (from) into = std::move(from);
    };
    all.name.clear();  // all are one, and nothing is left to begin with it
    for (std::size_t i = 1; i < sections.size(); ++i) {
      Section& next = sections[i];
      for (const auto& [slot, claim] : next.set_at) sections_.claim(slot, claim, all);
      std::move(next.fixed.begin(), next.fixed.end(), std::back_inserter(all.fixed));
      std::move(next.axes.begin(), next.axes.end(), std::back_inserter(all.axes));
      std::move(next.when.begin(), next.when.end(), std::back_inserter(all.when));
      std::move(next.filters.begin(), next.filters.end(), std::back_inserter(all.filters));
      once(all.replicas, next.replicas, "seeds");
      once(all.priority, next.priority, "priority");
      once(all.priority_expression, next.priority_expression, "priority");
      once(all.vary_subset, next.vary_subset, "vary_subset");
    }
    return all;
  }

  Block block_of(const Section& top, const Section& inner) {
    Block block{.place = inner.place, .name = inner.name};
    block.base.resize(names_.size());
    block.when.resize(names_.size());
    for (const auto& given : top.fixed)
      if (!sets(inner, given->slot)) block.base[index(given->slot)] = given;
    for (const auto& given : inner.fixed) block.base[index(given->slot)] = given;
    for (const auto& axis : top.axes)
      if (axis->slots.size() != 1 || !sets(inner, axis->slots[0])) block.axes.push_back(axis);
    block.axes.insert(block.axes.end(), inner.axes.begin(), inner.axes.end());
    refuse_shared_axes(top, inner);
    for (const Section* section : {&top, &inner})
      for (const Condition& condition : section->when)
        block.when[index(condition.slot)] = condition.expression;
    block.filters = top.filters;
    block.filters.insert(block.filters.end(), inner.filters.begin(), inner.filters.end());
    block.replicas = inner.replicas.value_or(top.replicas.value_or(std::vector<std::int64_t>{0}));
    const bool own = inner.priority || inner.priority_expression != nullptr;
    block.priority = (own ? inner : top).priority.value_or(0);
    block.priority_expression = (own ? inner : top).priority_expression;
    block.vary_subset = inner.vary_subset.value_or(top.vary_subset.value_or(true));
    return block;
  }

  static std::size_t index(int slot) { return static_cast<std::size_t>(slot); }

  // Of a name that the section sets, itself or by its partner.
  const Claim& claim_of(const Section& section, int slot) const {
    const auto own = section.set_at.find(slot);
    return own != section.set_at.end() ? own->second
                                       : section.set_at.at(names_.partner(slot).value());
  }

  bool sets(const Section& section, int slot) const {
    return section.set_at.contains(slot) ||
           section.set_at.contains(names_.partner(slot).value_or(slot));
  }

  // A block replaces an axis of one name, but cannot take a name out of an axis of several.
  void refuse_shared_axes(const Section& top, const Section& inner) {
    for (const auto& axis : top.axes)
      for (const int slot : axis->slots) {
        if (axis->slots.size() < 2 || !sets(inner, slot)) continue;
        report(
            claim_of(inner, slot).place,
            fmt::format("{} goes together with others in an axis at the top of the file, line {}",
                        names_[slot].name,
                        claim_of(top, slot).place.line),
            "move that axis into the blocks that need it");
      }
  }

  // A condition on a name that no level sets is a mistake, most likely in the name.
  void check_conditions(const Section& top, const std::vector<Section>& inner) {
    const auto check = [&](const Section& section, auto&& is_set) {
      for (const Condition& condition : section.when)
        if (!sets(top, condition.slot) && !is_set(condition.slot))
          report(condition.place,
                 fmt::format("a condition on {}, which nothing sets", names_[condition.slot].name),
                 "set it under [fixed], [grid], [zip], [[list]] or [derive] too");
    };
    check(top, [&](int slot) {
      return std::any_of(
          inner.begin(), inner.end(), [&](const Section& s) { return sets(s, slot); });
    });
    for (const Section& section : inner)
      check(section, [&](int slot) { return sets(section, slot); });
  }

  std::shared_ptr<const SourceText> source_;
  Names names_;
  Problems problems_;
  SectionReader sections_;
  std::string name_;
  std::map<std::string, std::string> goal_;
  double weight_ = 1;
  std::size_t variables_ = 0;
};

}  // namespace

Result<Definition> read_definition(std::shared_ptr<const SourceText> source) {
  return DefinitionReader(std::move(source)).read();
}

}  // namespace ration::scheduler
