#include "scheduler/study.h"

#include <fmt/format.h>

namespace ration::scheduler {
namespace {

Json json_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::table: {
      Json table = Json::object();
      for (const Member& member : node.members) table[member.key] = json_of(member.node);
      return table;
    }
    case Node::Kind::array: {
      Json array = Json::array();
      for (const Node& item : node.items) array.push_back(json_of(item));
      return array;
    }
    case Node::Kind::value:
      break;
  }
  return std::visit([](const auto& value) { return Json(value); }, node.value);
}

}  // namespace

std::optional<Study> read_study(const Node& root, const SourceText& source, Problems& problems) {
  std::optional<Study> study;
  for (const char* kind : kStudies) {
    const Member* member = root.find(kind);
    if (member == nullptr) continue;
    if (study)
      problems.add(source.problem(member->place,
                                  fmt::format("[{}] and [{}] in one file", study->kind, kind),
                                  "a file holds one study; put the other into a file of its own"));
    else if (member->node.kind != Node::Kind::table)
      problems.add(source.problem(
          member->node.place, fmt::format("{} must be a table", kind), "write it as a [section]"));
    else
      study = Study{.kind = kind, .table = json_of(member->node)};
  }
  return study;
}

}  // namespace ration::scheduler
