#include <fmt/format.h>

#include <limits>
#include <set>

#include "base/json.h"
#include "scheduler/document.h"

namespace ration::scheduler {
namespace {

// Walks text that is known to be valid JSON once more, for the places and the order of its keys,
// which the parser does not keep.
class Walker {
 public:
  Walker(const SourceText& source, Problems& problems)
      : source_(source), problems_(problems), text_(source.text()) {}

  Node walk() {
    skip_blanks();
    Node node{.place = source_.place_of(at_)};
    if (text_[at_] == '{')
      walk_table(node);
    else if (text_[at_] == '[')
      walk_array(node);
    else
      node.value = scalar(node.place);
    skip_blanks();
    return node;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string::npos)
      ++at_;
  }

  // Takes the separator after an item; true when another item follows.
  bool more() { return text_[at_++] == ','; }

  bool empty(char close) {
    ++at_;
    skip_blanks();
    if (text_[at_] != close) return false;
    ++at_;
    return true;
  }

  void walk_table(Node& node) {
    node.kind = Node::Kind::table;
    if (empty('}')) return;
    std::set<std::string> seen;
    do {
      skip_blanks();
      const Place place = source_.place_of(at_);
      std::string key = Json::parse(token()).get<std::string>();
      if (!seen.insert(key).second)
        problems_.add_unusable(source_.problem(
            place, fmt::format("the key \"{}\" is given twice", key), "keep one of them"));
      skip_blanks();
      ++at_;  // the colon
      Node value = walk();
      node.members.push_back({.key = std::move(key), .place = place, .node = std::move(value)});
    } while (more());
  }

  void walk_array(Node& node) {
    node.kind = Node::Kind::array;
    if (empty(']')) return;
    do node.items.push_back(walk());
    while (more());
  }

  // The text of a string, number or word.
  std::string_view token() {
    const std::size_t begin = at_;
    if (text_[at_] == '"') {
      for (++at_; text_[at_] != '"'; ++at_)
        if (text_[at_] == '\\') ++at_;
      ++at_;
    } else {
      at_ = std::min(text_.find_first_of(" \t\r\n,]}", at_), text_.size());
    }
    return text_.substr(begin, at_ - begin);
  }

  run::Value scalar(Place place) {
    const Json value = Json::parse(token());
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
      return value.get<double>();
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number()) return value.get<double>();
    problems_.add_unusable(source_.problem(
        place, "null is no value of a run", "write a number, a text, true or false"));
    return false;
  }

  const SourceText& source_;
  Problems& problems_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<Node> read_json(const SourceText& source, Problems& problems) {
  if (Result<Json> valid = parse_json(source.text(), source.file()); !valid) {
    Error error = std::move(valid).error();
    error.kind = ErrorKind::usage;
    problems.add(std::move(error));
    return std::nullopt;
  }
  return Walker(source, problems).walk();
}

}  // namespace ration::scheduler
