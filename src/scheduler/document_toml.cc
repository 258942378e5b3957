// The only file that includes toml++. Version 3.3 meets malformed headers such as `[=` with an
// assertion: here it throws in place of aborting, and CMakeLists.txt keeps it switched on in
// release builds (GitHub marzer/tomlplusplus, issue 294).
#include <stdexcept>

namespace ration::scheduler {
constexpr void require_well_formed(bool condition) {
  if (!condition) throw std::logic_error("malformed TOML");
}
}  // namespace ration::scheduler

#define TOML_ASSERT(expression) \
  ::ration::scheduler::require_well_formed(static_cast<bool>(expression))
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

#include "scheduler/document.h"

namespace ration::scheduler {
namespace {

Place place_of(const toml::source_region& region) {
  return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

bool before(Place a, Place b) { return a.line != b.line ? a.line < b.line : a.column < b.column; }

class Converter {
 public:
  Converter(const SourceText& source, Problems& problems) : source_(source), problems_(problems) {}

  Node convert(const toml::node& from) {
    Node node{.place = place_of(from.source())};
    if (const toml::table* table = from.as_table()) {
      node.kind = Node::Kind::table;
      for (const auto& [key, value] : *table)
        node.members.push_back({.key = std::string(key.str()),
                                .place = place_of(key.source()),
                                .node = convert(value)});
      std::stable_sort(node.members.begin(), node.members.end(), [](const auto& a, const auto& b) {
        return before(a.place, b.place);
      });
    } else if (const toml::array* array = from.as_array()) {
      node.kind = Node::Kind::array;
      for (const toml::node& item : *array) node.items.push_back(convert(item));
    } else {
      node.value = scalar(from, node.place);
    }
    return node;
  }

 private:
  run::Value scalar(const toml::node& from, Place place) {
    if (const auto* text = from.as_string()) return text->get();
    if (const auto* is_true = from.as_boolean()) return is_true->get();
    if (const auto* whole = from.as_integer()) return std::int64_t{whole->get()};
    if (const auto* real = from.as_floating_point()) {
      if (std::isfinite(real->get())) return real->get();
      problems_.add_unusable(
          source_.problem(place, "NaN and infinities are no values of a run", "write a number"));
    } else {
      problems_.add_unusable(source_.problem(place,
                                             "dates and times are no values of a run",
                                             "write a number, a text, true or false"));
    }
    return false;
  }

  const SourceText& source_;
  Problems& problems_;
};

}  // namespace

std::optional<Node> read_toml(const SourceText& source, Problems& problems) {
  try {
    const toml::table root = toml::parse(std::string_view(source.text()));
    return Converter(source, problems).convert(root);
  } catch (const toml::parse_error& e) {
    problems.add(source.problem(place_of(e.source()),
                                fmt::format("not valid TOML: {}", e.description()),
                                "correct the file at the place shown"));
  } catch (const std::exception&) {
    problems.add(source.problem({},
                                "not valid TOML: a malformed [header]",
                                "write headers as [grid] or [[list]], each on its own line"));
  }
  return std::nullopt;
}

}  // namespace ration::scheduler
