#include "scheduler/document.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::scheduler {
namespace {

constexpr std::size_t kMaxTomlBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxJsonBytes = std::size_t{16} << 20;

// What must not reach a parser; toml++ 3.3 is not safe on bytes outside ASCII.
std::optional<Error> refuse(const SourceText& source, bool is_json) {
  const std::string& text = source.text();
  const std::size_t limit = is_json ? kMaxJsonBytes : kMaxTomlBytes;
  if (text.size() > limit)
    return source.problem(
        {},
        fmt::format("a sweep file of {} bytes; at most {} are read", text.size(), limit),
        is_json ? "split the sweep" : "split the sweep, or write it as JSON");
  const auto bad = std::find_if(text.begin(), text.end(), [&](char c) {
    return c == '\0' || (!is_json && static_cast<unsigned char>(c) >= 0x80);
  });
  if (bad == text.end()) return std::nullopt;
  const Place place = source.place_of(static_cast<std::size_t>(bad - text.begin()));
  Error error = source.problem(
      place,
      *bad == '\0'
          ? "a NUL byte in the sweep file"
          : fmt::format("the byte 0x{:02x} is not ASCII", static_cast<unsigned char>(*bad)),
      *bad == '\0' ? "is this a text file?"
                   : "write it with plain letters, also in comments, or use \\u escapes");
  error.where->line_text.clear();  // the caret could not stand at the right column
  return error;
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f;
  });
}

// Escapes such as \u0000 bring in what the file itself may not hold.
void check_texts(const SourceText& source, const Node& node, Problems& problems) {
  const auto check = [&](std::string_view text, Place place) {
    if (has_control_characters(text))
      problems.add_unusable(source.problem(
          place, "a control character in a text", "use letters, digits and punctuation"));
  };
  if (const std::string* text = node.text()) check(*text, node.place);
  for (const Node& item : node.items) check_texts(source, item, problems);
  for (const Member& member : node.members) {
    check(member.key, member.place);
    check_texts(source, member.node, problems);
  }
}

}  // namespace

const Member* Node::find(std::string_view key) const {
  const auto found = std::find_if(
      members.begin(), members.end(), [&](const Member& member) { return member.key == key; });
  return found == members.end() ? nullptr : &*found;
}

const std::string* Node::text() const {
  return kind == Kind::value ? std::get_if<std::string>(&value) : nullptr;
}

std::optional<Node> read_document(const SourceText& source, Problems& problems) {
  const std::size_t first = source.text().find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && source.text()[first] == '{';
  if (std::optional<Error> refused = refuse(source, is_json)) {
    problems.add(std::move(*refused));
    return std::nullopt;
  }
  std::optional<Node> root = is_json ? read_json(source, problems) : read_toml(source, problems);
  if (root) check_texts(source, *root, problems);
  return root;
}

}  // namespace ration::scheduler
