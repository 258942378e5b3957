#include "scheduler/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

namespace ration::scheduler {
namespace {

constexpr std::int64_t kMaxReplicas = 10'000;
constexpr std::int64_t kMaxPriority = 1'000'000;

std::string_view kind_name(const Node& node) {
  if (node.kind == Node::Kind::table) return "a table";
  if (node.kind == Node::Kind::array) return "an array";
  if (node.text() != nullptr) return "a text";
  if (std::holds_alternative<bool>(node.value)) return "true or false";
  return "a number";
}

// "131Ktok" for settings counted in tokens, "1h30m" for those in minutes, "10GiB" in bytes.
std::optional<Result<run::Value>> quantity(const run::Field& field, const Node& node) {
  const std::string* text = node.text();
  if (text == nullptr || std::holds_alternative<std::string>(field.default_value))
    return std::nullopt;
  const bool minutes = field.unit == "min";
  const bool bytes = field.unit == "bytes";
  if (!minutes && !bytes && field.unit != "tokens") return std::nullopt;
  const Result<double> number = parse_quantity(*text, minutes ? "s" : bytes ? "B" : "tok");
  if (!number) {
    Error error = number.error();
    error.what = fmt::format("{}: {}", field.name, error.what);
    error.hint += "; an expression belongs under [derive]";
    return error;
  }
  return run::Value(minutes ? *number / 60 : *number);
}

// The characters of a text stand in the file as they are, unless it has escapes or several lines.
Locate locate_in(const std::shared_ptr<const SourceText>& source, const Node& node) {
  const std::string& text = *node.text();
  const std::string_view line = source->line(node.place.line);
  const auto begin = static_cast<std::size_t>(node.place.column);
  const bool verbatim = begin <= line.size() && line.substr(begin).starts_with(text);
  return [source, place = node.place, verbatim](std::size_t offset) {
    return source->at(verbatim ? place.right(1 + offset) : place);
  };
}

}  // namespace

const std::vector<std::string>& SectionReader::keys() {
  static const std::vector<std::string> kKeys = {"data",
                                                 "seeds",
                                                 "priority",
                                                 "vary_subset",
                                                 "exclude",
                                                 "when",
                                                 "fixed",
                                                 "grid",
                                                 "zip",
                                                 "list",
                                                 "trunk",
                                                 "derive"};
  return kKeys;
}

void SectionReader::report(Place place, std::string what, std::string hint) {
  problems_.add(source_->problem(place, std::move(what), std::move(hint)));
}

bool SectionReader::expect(const Node& node,
                           Node::Kind kind,
                           std::string_view what,
                           std::string_view example) {
  if (node.kind == kind) return true;
  report(node.place,
         fmt::format("{} must be {}, not {}",
                     what,
                     kind == Node::Kind::table   ? "a table"
                     : kind == Node::Kind::array ? "an array"
                                                 : "a value",
                     kind_name(node)),
         fmt::format("for example {}", example));
  return false;
}

bool SectionReader::read(const Member& member, Section& section) {
  const Node& node = member.node;
  if (member.key == "data")
    read_data(member, section);
  else if (member.key == "seeds")
    read_seeds(node, section);
  else if (member.key == "priority")
    read_priority(node, section);
  else if (member.key == "vary_subset") {
    if (node.kind == Node::Kind::value && std::holds_alternative<bool>(node.value))
      section.vary_subset = std::get<bool>(node.value);
    else
      report(node.place,
             fmt::format("vary_subset must be true or false, not {}", kind_name(node)),
             "true gives each replica its own subset of the text");
  } else if (member.key == "exclude")
    read_filters(node, false, section);
  else if (member.key == "when")
    read_when(node, section);
  else if (member.key == "fixed")
    read_fixed(node, section);
  else if (member.key == "grid")
    read_grid(node, section);
  else if (member.key == "zip")
    read_zip(node, section);
  else if (member.key == "list")
    read_list(member, section);
  else if (member.key == "trunk")
    read_trunk(node, section);
  else if (member.key == "derive")
    read_derive(node, section);
  else
    return false;
  return true;
}

std::optional<int> SectionReader::settable(const Member& member) {
  const std::optional<int> slot = names_.find(member.key);
  if (!slot) {
    std::string hint = did_you_mean(member.key, names_.known(true));
    if (hint.empty())
      hint =
          "`ration help settings` lists the settings; a name of your own is declared under [let]";
    report(member.place, fmt::format("unknown setting \"{}\"", member.key), std::move(hint));
    return std::nullopt;
  }
  const std::string& reason = names_[*slot].taken_from;
  if (reason.empty()) return slot;
  report(member.place, fmt::format("{} cannot be set: it {}", member.key, reason), "leave it out");
  return std::nullopt;
}

bool SectionReader::claim(int slot, Claim claim, Section& section) {
  using By = Claim::By;
  for (const int taken : {slot, names_.partner(slot).value_or(slot)}) {
    const auto found = section.set_at.find(taken);
    if (found == section.set_at.end()) continue;
    const By other = found->second.by;
    if ((claim.by == By::list && other == By::fixed) ||
        (claim.by == By::fixed && other == By::list))
      continue;
    const std::string& name = names_[slot].name;
    report(claim.place,
           taken == slot
               ? fmt::format("{} is set twice; first in line {}", name, found->second.place.line)
               : fmt::format("{} is set, but {} decides it already, in line {}",
                             name,
                             names_[taken].name,
                             found->second.place.line),
           "keep one of them; a [[block]] may replace what the top of the file sets");
    return false;
  }
  // Of a list and what is fixed beneath it, the latter is kept: it meets more conflicts.
  const auto [entry, is_new] = section.set_at.try_emplace(slot, claim);
  if (!is_new && claim.by == By::fixed) entry->second = claim;
  return true;
}

std::optional<Given> SectionReader::given(int slot, const Node& node) {
  const NameInfo& info = names_[slot];
  if (!expect(node, Node::Kind::value, info.name, fmt::format("{} = 1", info.name)))
    return std::nullopt;
  Given result{.slot = slot, .place = node.place, .value = node.value};
  if (info.field == nullptr) {
    if (!info.derived) return result;  // a variable takes anything
    const auto* whole = std::get_if<std::int64_t>(&node.value);
    const auto* real = std::get_if<double>(&node.value);
    const double epochs = whole != nullptr  ? static_cast<double>(*whole)
                          : real != nullptr ? *real
                                            : 0;
    if (epochs > 0 && epochs <= 1e9) return result;
    report(node.place, "epochs must be a number above 0", "for example 1, 4 or 0.5");
    return std::nullopt;
  }
  std::optional<Result<run::Value>> read = quantity(*info.field, node);
  if (read && !*read) {
    report(node.place, read->error().what, read->error().hint);
    return std::nullopt;
  }
  Result<run::Value> value = run::accept(info.name, read ? read->value() : node.value);
  if (!value) {
    report(node.place, value.error().what, value.error().hint);
    return std::nullopt;
  }
  result.value = std::move(*value);
  return result;
}

std::shared_ptr<const Expression> SectionReader::expression(const Node& node) {
  if (node.text() == nullptr) {
    report(node.place,
           fmt::format("an expression must be a text, not {}", kind_name(node)),
           "for example \"width >= 32\"");
    return nullptr;
  }
  Result<Expression> parsed = Expression::parse(*node.text(), names_, locate_in(source_, node));
  if (parsed) return std::make_shared<const Expression>(std::move(*parsed));
  Error error = std::move(parsed).error();
  if (error.causes.empty()) problems_.add(std::move(error));
  for (Error& cause : error.causes) problems_.add(std::move(cause));
  return nullptr;
}

void SectionReader::read_data(const Member& member, Section& section) {
  const int slot = names_.slot("data");
  if (!claim(slot, {Claim::By::fixed, member.place}, section)) return;
  if (std::optional<Given> value = given(slot, member.node))
    section.fixed.push_back(std::make_shared<const Given>(std::move(*value)));
}

void SectionReader::read_fixed(const Node& node, Section& section) {
  if (!expect(node, Node::Kind::table, "fixed", "[fixed] with lines such as width = 64")) return;
  for (const Member& member : node.members) {
    const std::optional<int> slot = settable(member);
    if (!slot || !claim(*slot, {Claim::By::fixed, member.place}, section)) continue;
    if (member.node.kind == Node::Kind::array) {
      report(member.node.place,
             fmt::format("{} has several values", member.key),
             "values to go through belong under [grid]");
      continue;
    }
    if (std::optional<Given> value = given(*slot, member.node))
      section.fixed.push_back(std::make_shared<const Given>(std::move(*value)));
  }
}

void SectionReader::read_derive(const Node& node, Section& section) {
  if (!expect(node,
              Node::Kind::table,
              "derive",
              "[derive] with lines such as tokens = \"20 * params\""))
    return;
  for (const Member& member : node.members) {
    const std::optional<int> slot = settable(member);
    if (!slot || !claim(*slot, {Claim::By::fixed, member.place}, section)) continue;
    if (member.key == "init" || member.key == "points") {
      report(member.place,
             fmt::format("{} cannot be derived", member.key),
             "give it under [fixed], [grid], [zip] or [[list]]");
      continue;
    }
    if (std::shared_ptr<const Expression> parsed = expression(member.node))
      section.fixed.push_back(std::make_shared<const Given>(
          Given{.slot = *slot, .place = member.node.place, .expression = std::move(parsed)}));
  }
}

void SectionReader::read_grid(const Node& node, Section& section) {
  if (!expect(node, Node::Kind::table, "grid", "[grid] with lines such as width = [32, 64]"))
    return;
  for (const Member& member : node.members) {
    const std::optional<int> slot = settable(member);
    if (!slot || !claim(*slot, {Claim::By::axis, member.place}, section)) continue;
    if (!expect(member.node, Node::Kind::array, member.key, fmt::format("{} = [1, 2]", member.key)))
      continue;
    auto axis = std::make_shared<Axis>(Axis{.name = member.key, .slots = {*slot}});
    for (const Node& item : member.node.items)
      if (std::optional<Given> value = given(*slot, item))
        axis->rows.push_back({std::move(*value)});
    if (member.node.items.empty())
      report(member.node.place,
             fmt::format("{} has no values", member.key),
             "give at least one, or leave the key out");
    section.axes.push_back(std::move(axis));
  }
}

// One axis, whose runs share the training of the longest.
void SectionReader::read_trunk(const Node& node, Section& section) {
  const std::string_view example = "[trunk] with a line tokens = [\"1Mtok\", \"2Mtok\", \"4Mtok\"]";
  if (!expect(node, Node::Kind::table, "trunk", example)) return;
  for (const Member& member : node.members)
    if (member.key != "tokens" && member.key != "epochs")
      return report(member.place,
                    fmt::format("[trunk] takes tokens or epochs, not {}", member.key),
                    "branches differ from their trunk in length alone; other settings belong under "
                    "[fixed] or [grid]");
  const std::size_t before = section.axes.size();
  read_grid(node, section);
  if (section.axes.size() == before) return;
  auto axis = std::make_shared<Axis>(*section.axes.back());
  axis->branches = true;
  axis->place = node.members[0].place;
  section.axes.back() = std::move(axis);
}

void SectionReader::read_zip(const Node& node, Section& section) {
  if (node.kind == Node::Kind::array) {  // [[zip]]: several groups
    for (const Node& group : node.items) read_zip(group, section);
    return;
  }
  if (!expect(node, Node::Kind::table, "zip", "[zip] with arrays of one length")) return;
  auto axis = std::make_shared<Axis>();
  const Member* first = nullptr;
  for (const Member& member : node.members) {
    const std::optional<int> slot = settable(member);
    if (!slot || !claim(*slot, {Claim::By::axis, member.place}, section)) continue;
    if (!expect(member.node, Node::Kind::array, member.key, fmt::format("{} = [1, 2]", member.key)))
      continue;
    const std::size_t size = member.node.items.size();
    if (first == nullptr) {
      first = &member;
      axis->rows.resize(size);
      if (size == 0)
        report(member.node.place,
               fmt::format("{} has no values", member.key),
               "give at least one, or leave [zip] out");
    }
    if (size != first->node.items.size()) {
      report(member.place,
             fmt::format("zip takes arrays of one length, but {} has {} values and {} has {}",
                         first->key,
                         first->node.items.size(),
                         member.key,
                         size),
             "add or remove values; for all combinations use [grid]");
      continue;
    }
    for (std::size_t i = 0; i < size; ++i)
      if (std::optional<Given> value = given(*slot, member.node.items[i]))
        axis->rows[i].push_back(std::move(*value));
    axis->slots.push_back(*slot);
    axis->name += (axis->name.empty() ? "" : ",") + member.key;
  }
  if (first != nullptr) section.axes.push_back(std::move(axis));
}

void SectionReader::read_list(const Member& member, Section& section) {
  if (!expect(member.node, Node::Kind::array, "list", "[[list]] before each group of settings"))
    return;
  auto axis = std::make_shared<Axis>(Axis{.name = "list"});
  Section rows;  // what any row sets counts once for the section
  for (const Node& item : member.node.items) {
    if (!expect(item, Node::Kind::table, "an entry of list", "[[list]] before width = 64"))
      continue;
    Row row;
    Section row_names;
    for (const Member& cell : item.members) {
      const std::optional<int> slot = settable(cell);
      if (!slot || !claim(*slot, {Claim::By::list, cell.place}, row_names)) continue;
      if (rows.set_at.try_emplace(*slot, Claim{Claim::By::list, cell.place}).second)
        axis->slots.push_back(*slot);
      if (std::optional<Given> value = given(*slot, cell.node)) row.push_back(std::move(*value));
    }
    axis->rows.push_back(std::move(row));
  }
  const int tokens = names_.slot("tokens");
  if (rows.set_at.contains(tokens)) rows.set_at.erase(names_.slot(Derived::epochs));
  for (const auto& [slot, row_claim] : rows.set_at) claim(slot, row_claim, section);
  if (member.node.items.empty())
    report(member.node.place, "list is empty", "add [[list]] entries, or leave it out");
  section.axes.push_back(std::move(axis));
}

void SectionReader::read_when(const Node& node, Section& section) {
  if (node.kind != Node::Kind::table) {
    read_filters(node, true, section);
    return;
  }
  for (const Member& member : node.members)
    if (const std::optional<int> slot = settable(member))
      if (std::shared_ptr<const Expression> parsed = expression(member.node))
        section.when.push_back(
            {.slot = *slot, .place = member.place, .expression = std::move(parsed)});
}

void SectionReader::read_filters(const Node& node, bool keep, Section& section) {
  if (node.kind == Node::Kind::array) {
    for (const Node& item : node.items) read_filters(item, keep, section);
    return;
  }
  if (std::shared_ptr<const Expression> parsed = expression(node))
    section.filters.push_back({.expression = std::move(parsed), .keep = keep});
}

void SectionReader::read_seeds(const Node& node, Section& section) {
  const std::string hint = "seeds = 3, or replica numbers such as seeds = [0, 1, 5]";
  const auto* count = std::get_if<std::int64_t>(&node.value);
  std::vector<std::int64_t> replicas;
  if (node.kind == Node::Kind::value && count != nullptr) {
    if (*count < 1 || *count > kMaxReplicas)
      report(node.place,
             fmt::format("seeds = {} is out of range 1 to {}", *count, kMaxReplicas),
             hint);
    for (std::int64_t i = 0; i < std::clamp(*count, std::int64_t{1}, kMaxReplicas); ++i)
      replicas.push_back(i);
  } else if (node.kind == Node::Kind::array && !node.items.empty()) {
    std::set<std::int64_t> seen;
    for (const Node& item : node.items) {
      const auto* number = std::get_if<std::int64_t>(&item.value);
      if (item.kind != Node::Kind::value || number == nullptr || *number < 0)
        report(item.place, "a replica number must be a whole number from 0", hint);
      else if (!seen.insert(*number).second)
        report(item.place, fmt::format("replica {} is given twice", *number), hint);
      else
        replicas.push_back(*number);
    }
  } else {
    report(node.place,
           fmt::format(
               "seeds cannot be {}",
               node.items.empty() && node.kind == Node::Kind::array ? "empty" : kind_name(node)),
           hint);
  }
  section.replicas = std::move(replicas);
}

void SectionReader::read_priority(const Node& node, Section& section) {
  if (node.text() != nullptr) {
    section.priority_expression = expression(node);
    return;
  }
  const auto* number = std::get_if<std::int64_t>(&node.value);
  if (node.kind != Node::Kind::value || number == nullptr || *number > kMaxPriority ||
      *number < -kMaxPriority)
    report(node.place,
           fmt::format("priority must be a whole number within {}", kMaxPriority),
           "larger runs first; an expression such as \"-steps\" also works");
  else
    section.priority = *number;
}

}  // namespace ration::scheduler
