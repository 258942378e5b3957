#pragma once

// What is wrong with a sweep, told once each, in the order of the file.

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/result.h"

namespace ration::scheduler {

class Problems {
 public:
  // Problems at one place that differ in their numbers alone are one; its first text is kept.
  void add(Error error);

  // A value that is no value at all; later problems at its place only follow from that.
  void add_unusable(Error error);

  // A problem that comes several times from here on to the next call counts once.
  void begin_point() { ++point_; }

  bool empty() const { return found_.empty(); }
  std::size_t count() const { return found_.size(); }

  // All of them in one error, which needs at least one. With more than one point each says in how
  // many it occurred.
  Error take(const std::string& summary, std::int64_t points = 1) &&;

 private:
  using Place = std::pair<int, int>;  // line and column
  struct Found {
    Error error;
    std::int64_t points = 0;
    std::int64_t last_point = -1;
  };

  std::map<std::pair<Place, std::string>, Found> found_;
  std::set<Place> unusable_;
  std::int64_t point_ = 0;
  bool too_many_ = false;
};

}  // namespace ration::scheduler
