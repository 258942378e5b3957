#pragma once

// One level of a sweep file: the tables at its top, or those of one [[block]].

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/definition.h"
#include "scheduler/document.h"

namespace ration::scheduler {

// A name that has its value only where the expression is true.
struct Condition {
  int slot = 0;
  Place place;
  std::shared_ptr<const Expression> expression;
};

// Where a section sets a name. A row of [[list]] may replace what [fixed] and [derive] say, so that
// they hold for the rows that leave the name out.
struct Claim {
  enum class By { fixed, axis, list };

  By by = By::fixed;
  Place place;
};

struct Section {
  std::string title;      // "the top of the file", "block 2"
  std::string name = {};  // of a block that others may begin with
  Place place;
  std::vector<std::shared_ptr<const Given>> fixed;  // [fixed] and [derive]
  std::vector<std::shared_ptr<const Axis>> axes;
  std::vector<Condition> when;
  std::vector<Filter> filters;
  std::optional<std::vector<std::int64_t>> replicas;
  std::shared_ptr<const Expression> priority_expression;
  std::optional<std::int64_t> priority;
  std::optional<bool> vary_subset;
  std::map<int, Claim> set_at;  // every name that the section sets
};

// Reads the tables of one level and collects problems in place of stopping at the first.
class SectionReader {
 public:
  SectionReader(std::shared_ptr<const SourceText> source, const Names& names, Problems& problems)
      : source_(std::move(source)), names_(names), problems_(problems) {}

  // True when `key` is one that a section may hold; it has been read then.
  bool read(const Member& member, Section& section);
  // Notes that the section sets a name; false, and a problem, when it did already.
  bool claim(int slot, Claim claim, Section& section);

  static const std::vector<std::string>& keys();

 private:
  void read_fixed(const Node& node, Section& section);
  void read_derive(const Node& node, Section& section);
  void read_grid(const Node& node, Section& section);
  void read_trunk(const Node& node, Section& section);
  void read_zip(const Node& node, Section& section);
  void read_list(const Member& member, Section& section);
  void read_when(const Node& node, Section& section);
  void read_filters(const Node& node, bool keep, Section& section);
  void read_seeds(const Node& node, Section& section);
  void read_priority(const Node& node, Section& section);
  void read_data(const Member& member, Section& section);

  bool expect(const Node& node, Node::Kind kind, std::string_view what, std::string_view example);
  // The slot of a key that may be set here.
  std::optional<int> settable(const Member& member);
  std::optional<Given> given(int slot, const Node& node);
  std::shared_ptr<const Expression> expression(const Node& node);
  void report(Place place, std::string what, std::string hint);

  std::shared_ptr<const SourceText> source_;
  const Names& names_;
  Problems& problems_;
};

}  // namespace ration::scheduler
